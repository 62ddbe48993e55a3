/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces: ioctl and getifaddrs. */
#include "dpdk/netif.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ask(int fd, const char *name, unsigned long what, struct ifreq *out)
{
	memset(out, 0, sizeof(*out));
	strncpy(out->ifr_name, name, IFNAMSIZ - 1);
	return ioctl(fd, what, out);
}

static uint8_t prefix_of(const struct sockaddr *mask)
{
	return mask ? (uint8_t)__builtin_popcount(
			      ((const struct sockaddr_in *)(const void *)mask)->sin_addr.s_addr)
		    : 32;
}

/* The address wanted, or the first one if it is 0. */
static bool address_find(const char *name, uint32_t want, uint32_t *ip, uint8_t *prefix)
{
	struct ifaddrs *list, *at;
	bool found = false;

	if (getifaddrs(&list))
		return false;
	for (at = list; at && !found; at = at->ifa_next) {
		if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET ||
		    strcmp(at->ifa_name, name) != 0)
			continue;
		*ip = ntohl(((struct sockaddr_in *)(void *)at->ifa_addr)->sin_addr.s_addr);
		*prefix = prefix_of(at->ifa_netmask);
		found = want == 0 || *ip == want;
	}
	freeifaddrs(list);
	return found;
}

int rmnic_netif_read(const char *name, struct rmnic_netif *out, struct rmnic_error *err)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r;

	*out = (struct rmnic_netif){ .index = if_nametoindex(name) };
	if (fd < 0)
		return rmnic_error_set(err, "interface %s: %s", name, strerror(errno));
	if (out->index == 0) {
		close(fd);
		return rmnic_error_set(err, "interface %s: %s (ip link shows what there is)", name,
				       strerror(ENODEV));
	}
	if (ask(fd, name, SIOCGIFMTU, &r) == 0)
		out->mtu = (uint32_t)r.ifr_mtu;
	if (ask(fd, name, SIOCGIFFLAGS, &r) == 0)
		out->up = (r.ifr_flags & IFF_UP) && (r.ifr_flags & IFF_RUNNING);
	if (ask(fd, name, SIOCGIFHWADDR, &r) == 0) {
		out->ethernet = r.ifr_hwaddr.sa_family == ARPHRD_ETHER;
		memcpy(out->mac, r.ifr_hwaddr.sa_data, sizeof(out->mac));
	}
	close(fd);
	out->has_ip = address_find(name, 0, &out->ip, &out->prefix);
	return 0;
}

bool rmnic_netif_has(const char *name, uint32_t ip, uint8_t *prefix)
{
	uint32_t found;

	return address_find(name, ip, &found, prefix);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static bool is_socket_of(int fd, int domain)
{
	int is = 0;
	socklen_t len = sizeof(is);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &is, &len) == 0 && is == domain;
}

static bool is_tap(int dir, const char *name)
{
	static const char tun[] = "/dev/net/tun";
	char path[sizeof(tun)];

	return readlinkat(dir, name, path, sizeof(path)) == sizeof(tun) - 1 &&
	       !memcmp(path, tun, sizeof(tun) - 1);
}

unsigned int rmnic_packet_fds_find(int domain, int *fds, unsigned int max)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned int n = 0;

	while (dir && n < max && (entry = readdir(dir))) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (entry->d_name[0] == '.' || fd == dirfd(dir))
			continue;
		if (domain == RMNIC_DOMAIN_TAP ? is_tap(dirfd(dir), entry->d_name) :
						 is_socket_of(fd, domain))
			fds[n++] = fd;
	}
	if (dir)
		closedir(dir);
	qsort(fds, n, sizeof(fds[0]), by_number);
	return n;
}
