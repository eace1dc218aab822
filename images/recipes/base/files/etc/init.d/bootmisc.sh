#!/bin/sh
### BEGIN INIT INFO
# Provides:          bootmisc
# Required-Start:    mountkernfs hostname
# Required-Stop:
# Default-Start:     S
# Default-Stop:
# Short-Description: Make the files that record who is logged in
### END INIT INFO

case $1 in
start)
	: >/run/utmp
	chgrp utmp /run/utmp
	chmod 664 /run/utmp
	;;
esac
