#!/bin/sh
### BEGIN INIT INFO
# Provides:          mountkernfs
# Required-Start:
# Required-Stop:
# Default-Start:     S
# Default-Stop:
# Short-Description: Mount /proc, /sys, /dev and the file systems in memory
### END INIT INFO

case $1 in
start)
	[ -e /proc/self ] || mount -t proc -o nosuid,noexec,nodev proc /proc
	[ -e /sys/kernel ] || mount -t sysfs -o nosuid,noexec,nodev sysfs /sys
	grep -q ' /dev devtmpfs ' /proc/mounts || mount -t devtmpfs -o nosuid,mode=0755 devtmpfs /dev
	mkdir -p /dev/pts /dev/shm
	mount -a -t devpts,tmpfs
	mkdir -p /run/lock
	chmod 1777 /run/lock
	;;
esac
