#!/bin/sh
### BEGIN INIT INFO
# Provides:          hostname
# Required-Start:    checkroot
# Required-Stop:
# Default-Start:     S
# Default-Stop:
# Short-Description: Set the name of this computer from /etc/hostname
### END INIT INFO

case $1 in
start)
	hostname -F /etc/hostname
	;;
esac
