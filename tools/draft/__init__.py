"""The tools that leave a draft of a change behind and touch no cluster, one file each."""
