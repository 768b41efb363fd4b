"""The made-up athletes: a specification of actions in joint angles, and the clips that are computed from it."""
