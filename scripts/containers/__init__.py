"""Containers by containerd and runc, in a network of their own on this machine, for tests of the chart and the image."""
