// SPDX-License-Identifier: BSD-3-Clause
/*
 * rmnic_pci - the rmnic function by hand, without its driver
 *
 *   rmnic_pci ADDRESS state         CTRL and STATUS, in hexadecimal
 *   rmnic_pci ADDRESS occupy        enables it with rings of this process, as a kernel that
 *                                   crashed would have; says so, and keeps them until SIGTERM
 *   rmnic_pci ADDRESS power 0|3     D0 or D3hot, behind its driver's back
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Values of spec/include/rmnic/device.h; a tree of selftests has no copy of that file. */
#define REG_STATUS 0x00c
#define REG_CTRL 0x010
#define REG_AQ_DEPTH 0x038
#define REG_AQ_SQ 0x040
#define REG_AQ_CQ 0x048
#define REG_AQ_REC 0x050
#define REGS_SIZE 0x1000
#define CTRL_ENABLE 1
#define STATUS_READY 1
#define PAGE 4096

#define CONFIG_COMMAND 0x04
#define COMMAND_MEMORY_AND_MASTER 0x06
#define CONFIG_CAPABILITIES 0x34
#define CAPABILITY_POWER 0x01

static void die(const char *what)
{
	fprintf(stderr, "rmnic_pci: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_file(const char *address, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, name);
	fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

static uint8_t config_byte(int fd, off_t offset)
{
	uint8_t value;

	if (pread(fd, &value, 1, offset) != 1)
		die("reading configuration space");
	return value;
}

static void config_word_set(int fd, off_t offset, uint16_t value)
{
	if (pwrite(fd, &value, 2, offset) != 2)
		die("writing configuration space");
}

static void power(const char *address, uint16_t state)
{
	int fd = open_file(address, "config");
	uint8_t at = config_byte(fd, CONFIG_CAPABILITIES);

	while (at && config_byte(fd, at) != CAPABILITY_POWER)
		at = config_byte(fd, at + 1);
	if (!at) {
		errno = ENOENT;
		die("power management capability");
	}
	config_word_set(fd, at + 4, state);
}

static volatile uint32_t *map_registers(const char *address)
{
	void *regs = mmap(NULL, REGS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			  open_file(address, "resource0"), 0);

	if (regs == MAP_FAILED)
		die("mapping the registers");
	return regs;
}

static void set64(volatile uint32_t *regs, unsigned int offset, uint64_t value)
{
	regs[offset / 4] = (uint32_t)value;
	regs[offset / 4 + 1] = value >> 32;
}

/* The physical address of a page of this process that stays where it is. */
static uint64_t physical(const void *page)
{
	uint64_t entry;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)page / PAGE * 8) != 8)
		die("/proc/self/pagemap");
	close(fd);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

static void occupy(const char *address)
{
	volatile uint32_t *regs = map_registers(address);
	uint8_t *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
	sigset_t ends;
	int sig;

	if (pages == MAP_FAILED)
		die("memory for rings");
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	config_word_set(open_file(address, "config"), CONFIG_COMMAND, COMMAND_MEMORY_AND_MASTER);
	regs[REG_AQ_DEPTH / 4] = 2;
	set64(regs, REG_AQ_SQ, physical(pages));
	set64(regs, REG_AQ_CQ, physical(pages + PAGE));
	set64(regs, REG_AQ_REC, physical(pages + 2 * PAGE));
	regs[REG_CTRL / 4] = CTRL_ENABLE;
	if (regs[REG_STATUS / 4] != STATUS_READY) {
		fprintf(stderr, "rmnic_pci: STATUS is 0x%x, not ready\n", regs[REG_STATUS / 4]);
		exit(1);
	}
	puts("occupied");
	fflush(stdout);
	sigwait(&ends, &sig);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[2], "occupy")) {
		occupy(argv[1]);
	} else if (argc == 3 && !strcmp(argv[2], "state")) {
		volatile uint32_t *regs = map_registers(argv[1]);

		printf("%x %x\n", regs[REG_CTRL / 4], regs[REG_STATUS / 4]);
	} else if (argc == 4 && !strcmp(argv[2], "power")) {
		power(argv[1], atoi(argv[3]));
	} else {
		fputs("usage: rmnic_pci ADDRESS state | occupy | power 0|3\n", stderr);
		return 2;
	}
	return 0;
}
