"""Parts of a report from the predictions that trials keep: intervals, PCK, joints, hands."""
