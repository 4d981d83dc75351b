"""The Import screen: tables of reads and predictions."""
