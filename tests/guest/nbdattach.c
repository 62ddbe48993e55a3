// SPDX-License-Identifier: BSD-3-Clause
/*
 * nbdattach ADDRESS PORT DEVICE - make a block device of an NBD server's default export
 *
 * What nbd-client does, for a guest without a C library: the negotiation, then ioctls. The process
 * stays in the background until the device is disconnected (nbdattach -d DEVICE).
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO_LEN 18u	/* two magic words and the server's flags */
#define EXPORT_LEN 10u	/* size and flags, without the zeroes that we did without */

static int fail(const char *what)
{
	fprintf(stderr, "nbdattach: %s: %s\n", what, strerror(errno));
	return 1;
}

/* Gives the size of the export, 0 after a message. */
static uint64_t negotiate(int sock, uint16_t *flags)
{
	/* Fixed newstyle without zeroes; then option 1, the export without a name. */
	static const char choice[] = "\0\0\0\3" "IHAVEOPT" "\0\0\0\1" "\0\0\0";
	char hello[HELLO_LEN], export[EXPORT_LEN];
	uint64_t size;

	if (recv(sock, hello, sizeof(hello), MSG_WAITALL) != sizeof(hello) ||
	    memcmp(hello, "NBDMAGICIHAVEOPT", 16) || (hello[17] & 3) != 3) {
		fprintf(stderr, "nbdattach: this is no NBD server of the fixed newstyle\n");
		return 0;
	}
	if (send(sock, choice, sizeof(choice), 0) != sizeof(choice) ||
	    recv(sock, export, sizeof(export), MSG_WAITALL) != sizeof(export)) {
		fail("no default export");
		return 0;
	}
	memcpy(&size, export, sizeof(size));
	memcpy(flags, export + sizeof(size), sizeof(*flags));
	*flags = be16toh(*flags);
	return be64toh(size);
}

static int attach(int sock, const char *path)
{
	int device = open(path, O_RDWR), one = 1;
	uint16_t flags = 0;
	uint64_t size;

	if (device < 0)
		return fail(path);
	size = negotiate(sock, &flags);
	if (!size)
		return 1;
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (ioctl(device, NBD_SET_BLKSIZE, 4096UL) || ioctl(device, NBD_SET_SIZE_BLOCKS, (unsigned long)(size / 4096)) ||
	    ioctl(device, NBD_SET_FLAGS, (unsigned long)flags) || ioctl(device, NBD_SET_SOCK, (unsigned long)sock))
		return fail("the kernel does not take the connection");
	if (daemon(1, 1))
		return fail("daemon");
	/* Comes back when the device is disconnected. */
	if (ioctl(device, NBD_DO_IT))
		return fail("the connection ended");
	ioctl(device, NBD_CLEAR_SOCK);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd;

	if (argc == 3 && !strcmp(argv[1], "-d")) {
		fd = open(argv[2], O_RDWR);
		return fd < 0 || ioctl(fd, NBD_DISCONNECT) ? fail(argv[2]) : 0;
	}
	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: nbdattach ADDRESS PORT DEVICE | nbdattach -d DEVICE\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return fail(argv[1]);
	return attach(fd, argv[3]);
}
