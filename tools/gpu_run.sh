#!/usr/bin/env bash
# One command for a machine with a CUDA GPU and no network: tests marked `cuda`, speeds, and a training of some minutes.
#
#   tools/gpu_run.sh MINUTES [FOLDER]
#
#   MINUTES   to train; in slices that end with SIGTERM and go on with --resume
#   FOLDER    for tables and models (default: $OUT, else gpu_run/); a run found there goes on
#   DATA      motion file to train on (default: amass.h5 here or beside the checkout, else the made-up athletes)
#   RECIPE    recipe (default: conv);  SETTINGS  further options of `motiongan train`, such as "--set training.steps=9000"
#   SLICE     seconds of a slice (default: 240)
#   DEVICE    default: cuda; DEVICE=cpu goes the same way on a machine without one, for trying it
#   PYTHON    default: .venv/bin/python if there is one, else python3, which must find torch, numpy, h5py, roma, ...
#
# Leaves in FOLDER: device.txt, tests.txt, training_speed.txt, generation_speed.txt, training.txt, run/ (with the model),
# generated.h5 and its contact sheet. Exit status 0 when all of it went well.
set -uo pipefail

if [[ $# -lt 1 || ! $1 =~ ^[0-9]+([.][0-9]+)?$ ]]; then
    sed -n '2,17s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
minutes=$1
device=${DEVICE:-cuda}
slice=${SLICE:-240}
recipe=${RECIPE:-conv}
read -r -a settings <<<"${SETTINGS:-}"
# Paths are those of the caller's folder; work is done in the checkout.
out=$(realpath -m "${2:-${OUT:-gpu_run}}")
data=${DATA:+$(realpath -m "$DATA")}
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-$([[ -x .venv/bin/python ]] && echo .venv/bin/python || echo python3)}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export CUBLAS_WORKSPACE_CONFIG=:4096:8 # so that cuBLAS adds in one order: a test resumes a run bit for bit
mkdir -p "$out" || exit 1
status=0

heading() { printf '\n== %s\n' "$1"; }
failed() { printf 'gpu_run: %s\n' "$1" >&2; status=1; }

heading "device" | tee "$out/device.txt"
"$python" - "$device" <<'PY' 2>&1 | tee -a "$out/device.txt"
import platform, sys
import h5py, numpy, torch
print("python", platform.python_version(), " torch", torch.__version__, " numpy", numpy.__version__, " h5py", h5py.__version__)
if sys.argv[1].startswith("cuda"):
    if not torch.cuda.is_available():
        sys.exit("no CUDA device here; DEVICE=cpu tries the same way on the CPU")
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        print(f"cuda:{number}  {facts.name}, {facts.total_memory / 2**30:.0f} GiB, {facts.multi_processor_count} processors")
    print("bfloat16", torch.cuda.is_bf16_supported(), " CUDA", torch.version.cuda)
PY
[[ ${PIPESTATUS[0]} -eq 0 ]] || exit 1

heading "tests marked cuda"
"$python" -m pytest tests/cuda -m cuda -rs -p no:cacheprovider 2>&1 | tee "$out/tests.txt"
[[ ${PIPESTATUS[0]} -eq 0 ]] || failed "tests failed, see $out/tests.txt"

if [[ -z $data ]]; then
    for file in amass.h5 ../amass.h5; do
        [[ -f $file ]] && data=$(realpath "$file") && break
    done
fi
if [[ -z $data ]]; then
    data=$out/sample.h5
    [[ -f $data ]] || "$python" -m motiongan sample-data --out "$data" || exit 1
fi
printf '\ndata: %s\n' "$data"

heading "training speed"
quick=(--steps "${BENCH_STEPS:-$([[ $device == cuda* ]] && echo 100 || echo 3)}")
"$python" tools/bench_training.py "$data" --device "$device" "${quick[@]}" 2>&1 | tee "$out/training_speed.txt"
[[ ${PIPESTATUS[0]} -eq 0 ]] || failed "the training could not be timed"

heading "training for $minutes minutes, in slices of $slice s"
run=$out/run
end=$("$python" -c "import sys, time; print(int(time.time() + 60 * float(sys.argv[1])))" "$minutes")
: >"$out/training.txt"
number=0
while left=$((end - $(date +%s))) && ((left > 0)); do
    number=$((number + 1))
    seconds=$((left < slice ? left : slice))
    arguments=(--data "$data" --out "$run" --device "$device")
    if [[ -f $run/config.yaml ]]; then
        arguments+=(--resume)
    else
        arguments+=(--config "$recipe" "${settings[@]}")
    fi
    # SIGTERM ends the step in progress and saves: exit status 143. SIGKILL comes only if that takes two minutes.
    timeout --signal=TERM --kill-after=120 --preserve-status "$seconds" \
        "$python" -m motiongan train "${arguments[@]}" >>"$out/training.txt" 2>>"$out/progress.txt"
    ended=$?
    printf 'slice %d: %d s, exit status %d; %s\n' "$number" "$seconds" "$ended" \
        "$(tail -n 1 "$run/log.jsonl" 2>/dev/null | cut -c 1-160)" | tee -a "$out/training.txt"
    [[ $ended -eq 0 ]] && break # all steps of the recipe are done
    if [[ $ended -ne 143 ]]; then
        tail -n 3 "$out/progress.txt" >&2
        failed "the training ended with status $ended"
        break
    fi
done

model=$run/model.safetensors
if [[ -f $model ]]; then
    heading "generation speed"
    for count in 500 ${BENCH_CLIPS:-5000}; do
        "$python" tools/bench_generate.py --checkpoint "$model" --device "$device" -n "$count" --pairs 3 --batch 500
    done 2>&1 | tee "$out/generation_speed.txt"
    "$python" -m motiongan generate --checkpoint "$model" -n 8 --device "$device" --out "$out/generated.h5" --force &&
        "$python" -m motiongan preview "$out/generated.h5" --out "$out/generated.png" --force ||
        failed "no clips could be generated"
else
    printf 'no model yet: the GAN had not begun; a longer run in the same folder goes on from here\n'
fi

printf '\nin %s:\n' "$out"
ls "$out"
exit "$status"
