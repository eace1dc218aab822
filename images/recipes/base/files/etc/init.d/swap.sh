#!/bin/sh
### BEGIN INIT INFO
# Provides:          swap
# Required-Start:    checkroot
# Required-Stop:
# Default-Start:     S
# Default-Stop:      0 6
# Short-Description: Use the swap areas of /etc/fstab that are there
### END INIT INFO

case $1 in
start)
	[ -b /dev/vdb ] && swapon -a
	;;
stop)
	swapoff -a
	;;
esac
