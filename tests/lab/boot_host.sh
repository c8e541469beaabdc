#!/bin/sh
# The first process of a host: run in namespaces of its own (mount, PID, UTS, IPC, network), it lays out the
# host's file system, makes it the only one, and becomes the host's init. Killing it ends everything in the host.
# Given: NAME, ROOT (read-only lower folder), STATE (the host's own folder), DISK (image file or empty).
set -eu
mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$STATE/upper,workdir=$STATE/work" "$STATE/root"
cd "$STATE/root"

mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs -o mode=755 devices dev
mkdir dev/pts dev/shm dev/net
for device in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" "net/tun 10 200"; do
    # shellcheck disable=SC2086
    set -- $device
    mknod -m 666 "dev/$1" c "$2" "$3"
done
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
ln -s pts/ptmx dev/ptmx
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs shm dev/shm
mount -t tmpfs -o mode=755 run run
mkdir run/sshd run/lock

# Docker's overlays cannot lie on an overlay, so these are folders of the machine's file system.
mount --bind "$STATE/docker" var/lib/docker
mount --bind "$STATE/containerd" var/lib/containerd
mount --bind "$STATE/tmp" tmp
if [ -n "$DISK" ]; then mount -o loop "$DISK" aisys; else mount --bind "$STATE/aisys" aisys; fi
chmod 1777 aisys

hostname "$NAME"
pivot_root . mnt
cd /
umount -l /mnt
exec /bin/sh /etc/lab-init
