"""MMPose 1.x: VideoPose3D's network, 27 frames, on captured and generated motion, by a CombinedDataset.

    motiongan export amass.h5 --to mmpose --out data/real
    motiongan export aug.h5 --to mmpose --out data/synthetic
    python tools/train.py mmpose_combined.py          # from the folder of MMPose's checkout, where data/ lies too

Model and schedule are those of MMPose's video-pose-lift_tcn-27frm-supv_8xb128-160e_h36m.py. Validation takes Human3.6M
itself, as MMPose prepares it; leave the `val` and `test` parts out where it is not at hand.
"""

# ruff: noqa: C408 (as MMPose writes its configurations)
_base_ = ["mmpose::_base_/default_runtime.py"]

# A CombinedDataset draws from each data set its length times this factor: here all real windows, and half of the
# generated ones. Its samples are drawn once, when the training starts.
sample_ratio_factor = [1.0, 0.5]

train_cfg = dict(max_epochs=160, val_interval=10)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-3))
param_scheduler = [dict(type="ExponentialLR", gamma=0.975, end=80, by_epoch=True)]
auto_scale_lr = dict(base_batch_size=1024)
default_hooks = dict(checkpoint=dict(type="CheckpointHook", save_best="MPJPE", rule="less", max_keep_ckpts=1))

codec = dict(type="VideoPoseLifting", num_keypoints=17, zero_center=True, root_index=0, remove_root=False)
model = dict(
    type="PoseLifter",
    backbone=dict(
        type="TCN",
        in_channels=2 * 17,
        stem_channels=1024,
        num_blocks=2,
        kernel_sizes=(3, 3, 3),
        dropout=0.25,
        use_stride_conv=True,
    ),
    head=dict(
        type="TemporalRegressionHead",
        in_channels=1024,
        num_joints=17,
        loss=dict(type="MPJPELoss"),
        decoder=codec,
    ),
)

meta_keys = ("id", "category_id", "target_img_path", "flip_indices", "target_root")
train_pipeline = [
    dict(type="RandomFlipAroundRoot", keypoints_flip_cfg=dict(), target_flip_cfg=dict()),
    dict(type="GenerateTarget", encoder=codec),
    dict(type="PackPoseInputs", meta_keys=meta_keys),
]
val_pipeline = [dict(type="GenerateTarget", encoder=codec), dict(type="PackPoseInputs", meta_keys=meta_keys)]

# One window round every frame, the clip's ends repeated.
windows = dict(seq_len=27, causal=False, pad_video_seq=True)
# The files of `motiongan export --to mmpose`; there are no pictures, and none are read.
exported = dict(
    type="Human36mDataset",
    ann_file="h36m_motiongan.npz",
    camera_param_file="cameras.pkl",
    data_prefix=dict(img="images/"),
    pipeline=[],
    **windows,
)

train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="CombinedDataset",
        metainfo=dict(from_file="configs/_base_/datasets/h36m.py"),
        datasets=[dict(data_root="data/real/", **exported), dict(data_root="data/synthetic/", **exported)],
        sample_ratio_factor=sample_ratio_factor,
        pipeline=train_pipeline,
        test_mode=False,
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
    dataset=dict(
        type="Human36mDataset",
        data_root="data/h36m/",
        ann_file="annotation_body3d/fps50/h36m_test.npz",
        camera_param_file="annotation_body3d/cameras.pkl",
        data_prefix=dict(img="images/"),
        pipeline=val_pipeline,
        test_mode=True,
        **windows,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type="MPJPE", mode="mpjpe"), dict(type="MPJPE", mode="p-mpjpe")]
test_evaluator = val_evaluator
