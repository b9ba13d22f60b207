"""Tests that the README tells the truth, and the script that writes its generated parts."""
