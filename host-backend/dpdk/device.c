/* SPDX-License-Identifier: BSD-3-Clause */
/* DEVICE strings and drivers' arguments. */
#include "dpdk/device.h"

#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <linux/capability.h>
#include <linux/if_packet.h>

#define FORMS \
	"expected an interface (eth0), packet:INTERFACE, af_packet:INTERFACE, af_xdp:INTERFACE, tap:NAME, " \
	"memif:client:SOCKET, memif:server:SOCKET or a PCI address (0000:01:00.0)"

/* What the kernel puts in front of a received frame: its header, and alignment. */
#define RX_OVERHEAD 96
#define RING_FRAMES_MAX 1024
#define RING_FRAMES_MIN 64

const char *const rmnic_driver_names[] = { "packet", "net_af_packet", "net_af_xdp", "net_tap", "net_memif",
					   "pci" };

static const struct prefix {
	const char *text;
	enum rmnic_driver driver;
} prefixes[] = {
	{ "packet:", RMNIC_DRIVER_PACKET },
	{ "af_packet:", RMNIC_DRIVER_AF_PACKET },
	{ "af_xdp:", RMNIC_DRIVER_AF_XDP },
	{ "tap:", RMNIC_DRIVER_TAP },
	{ "memif:", RMNIC_DRIVER_MEMIF },
};

static bool hex(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!isxdigit((unsigned char)text[i]))
			return false;
	}
	return true;
}

/* "0000:01:00.0" or "01:00.0" */
static bool is_pci(const char *text)
{
	size_t len = strlen(text);

	if (len == 12) {
		if (!hex(text, 4) || text[4] != ':')
			return false;
		text += 5;
	} else if (len != 7) {
		return false;
	}
	return hex(text, 2) && text[2] == ':' && hex(text + 3, 2) && text[5] == '.' &&
	       text[6] >= '0' && text[6] <= '7';
}

/* A name goes into a driver's arguments, where a comma begins the next one. */
static int name_check(const char *device, const char *name, struct rmnic_error *err)
{
	if (name[0] == '\0' || strlen(name) >= IFNAMSIZ)
		return rmnic_error_set(err, "port '%s': an interface's name has 1 to %d characters",
				       device, IFNAMSIZ - 1);
	if (strpbrk(name, ",/ \t\n:="))
		return rmnic_error_set(err, "port '%s': '%s' is no interface's name", device, name);
	return 0;
}

static int memif_parse(struct rmnic_device *out, const char *text, struct rmnic_error *err)
{
	out->memif_server = strncmp(text, "server:", 7) == 0;
	if (!out->memif_server && strncmp(text, "client:", 7) != 0)
		return rmnic_error_set(err, "port '%s': " FORMS, out->name);
	text += 7;
	if (text[0] != '/' || strpbrk(text, ",= \n") || strlen(text) > 100)
		return rmnic_error_set(err, "port '%s': '%s' is no path of a socket", out->name,
				       text);
	snprintf(out->argument, sizeof(out->argument), "%s", text);
	return 0;
}

int rmnic_device_parse(const char *text, struct rmnic_device *out, struct rmnic_error *err)
{
	const char *name = text;

	*out = (struct rmnic_device){ .driver = RMNIC_DRIVER_PACKET };
	if (!text[0] || strlen(text) >= sizeof(out->name))
		return rmnic_error_set(err, "port '%.80s': " FORMS, text);
	snprintf(out->name, sizeof(out->name), "%s", text);
	if (is_pci(text)) {
		out->driver = RMNIC_DRIVER_PCI;
		snprintf(out->argument, sizeof(out->argument), "%s%s",
			 strlen(text) == 7 ? "0000:" : "", text);
		return 0;
	}
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t len = strlen(prefixes[i].text);

		if (!strncmp(text, prefixes[i].text, len)) {
			out->driver = prefixes[i].driver;
			name = text + len;
		}
	}
	if (out->driver == RMNIC_DRIVER_MEMIF)
		return memif_parse(out, name, err);
	if (name == text && strchr(text, ':'))
		return rmnic_error_set(err, "port '%s': " FORMS, text);
	if (name_check(text, name, err))
		return -1;
	out->interface = out->driver != RMNIC_DRIVER_TAP;
	snprintf(out->argument, sizeof(out->argument), "%s", name);
	return 0;
}

uint64_t rmnic_lockable(void)
{
	struct rlimit limit;
	char line[128];
	uint64_t locked = 0, effective = 0;
	FILE *status = fopen("/proc/self/status", "re");
	FILE *map;
	bool first_namespace = false;

	while (status && fgets(line, sizeof(line), status)) {
		if (!strncmp(line, "VmLck:", 6))
			locked = strtoull(line + 6, NULL, 10) * 1024;
		if (!strncmp(line, "CapEff:", 7))
			effective = strtoull(line + 7, NULL, 16);
	}
	if (status)
		fclose(status);
	/* The capability counts in the first user namespace only: that one maps all users. */
	map = fopen("/proc/self/uid_map", "re");
	if (map) {
		first_namespace = fgets(line, sizeof(line), map) && strstr(line, " 4294967295");
		fclose(map);
	}
	if ((effective & (1ull << CAP_IPC_LOCK)) && first_namespace)
		return UINT64_MAX;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur > locked ? limit.rlim_cur - locked : 0;
}

/*
 * The driver takes frames for contiguous, so a block must be a whole number of them; the
 * kernel wants blocks of whole 4 KiB pages (RULES F8). It locks the rings, RX and TX alike.
 */
bool rmnic_rings_choose(uint16_t mtu, uint16_t queues, uint64_t lockable, struct rmnic_rings *out)
{
	uint32_t need = mtu + RX_OVERHEAD, count = RING_FRAMES_MAX;

	out->frame = need <= 2048 ? 2048 : (need + 1023) / 1024 * 1024;
	out->block = out->frame == 2048 ? 8192 : out->frame * 4;
	/* Not all of it: other ports, and what else the program wants to lock. */
	while (count > RING_FRAMES_MIN && lockable / 2 < 2ull * queues * count * out->frame)
		count /= 2;
	out->count = count;
	return lockable >= 2ull * queues * count * out->frame;
}

const char *rmnic_device_arguments(const struct rmnic_device *device, uint16_t queues,
				   const struct rmnic_rings *rings, char *buf, size_t len)
{
	buf[0] = '\0';
	switch (device->driver) {
	case RMNIC_DRIVER_AF_PACKET:
		snprintf(buf, len,
			 "iface=%s,qpairs=%u,qdisc_bypass=1,framesz=%u,blocksz=%u,framecnt=%u",
			 device->argument, queues, rings->frame, rings->block, rings->count);
		break;
	case RMNIC_DRIVER_AF_XDP:
		/* Busy polling from the kernel's side would keep a sleeping lcore's frames. */
		snprintf(buf, len, "iface=%s,start_queue=0,queue_count=%u,busy_budget=0",
			 device->argument, queues);
		break;
	case RMNIC_DRIVER_TAP:
		snprintf(buf, len, "iface=%s", device->argument);
		break;
	case RMNIC_DRIVER_MEMIF:
		snprintf(buf, len, "role=%s,socket=%s,socket-abstract=no,bsize=5120",
			 device->memif_server ? "server" : "client", device->argument);
		break;
	case RMNIC_DRIVER_PACKET:
	case RMNIC_DRIVER_PCI:
		break;
	}
	return buf;
}
