#!/bin/sh
### BEGIN INIT INFO
# Provides:          checkroot
# Required-Start:    mountkernfs
# Required-Stop:
# Default-Start:     S
# Default-Stop:
# Short-Description: Make the root file system writable
### END INIT INFO

case $1 in
start)
	mount -o remount,rw /
	;;
esac
