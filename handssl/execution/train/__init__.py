"""One trial on several Ray Train workers."""
