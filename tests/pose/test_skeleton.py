from handssl.pose import BONE, BONES, JOINT_COUNT, JOINT_NAMES, PARENTS, ROOT
from handssl.pose.skeleton import FINGERS


def test_joints_are_the_wrist_and_then_four_of_each_finger_from_base_to_tip():
    assert JOINT_COUNT == len(set(JOINT_NAMES)) == 21
    assert JOINT_NAMES[ROOT] == "wrist"
    assert [JOINT_NAMES[tip] for tip in (4, 8, 12, 16, 20)] == [f"{f}_tip" for f in FINGERS]
    assert FINGERS == ("thumb", "index", "middle", "ring", "little")
    assert JOINT_NAMES[1:5] == ("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip")
    assert JOINT_NAMES[9:13] == ("middle_mcp", "middle_pip", "middle_dip", "middle_tip")


def test_every_finger_hangs_on_the_wrist_and_bones_reach_every_joint_once():
    assert [joint for joint, parent in enumerate(PARENTS) if parent == 0] == [1, 5, 9, 13, 17]
    assert [child for _, child in BONES] == list(range(1, 21))
    for parent, child in BONES:
        same_finger = JOINT_NAMES[parent].split("_")[0] == JOINT_NAMES[child].split("_")[0]
        assert parent == ROOT or (same_finger and parent == child - 1)
    assert BONE in BONES
