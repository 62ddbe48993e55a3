// SPDX-License-Identifier: BSD-3-Clause
/*
 * rmnic_mmap - write or verify a file through a mapping of it
 *
 *   rmnic_mmap write|verify FILE MIB
 *
 * Exit: 0 done; 1 pages are wrong, their number is printed; 2 wrong use, or the file cannot be mapped.
 */
#include "rmnic_test.h"

int main(int argc, char **argv)
{
	size_t pages = argc == 4 ? strtoul(argv[3], NULL, 10) * 256 : 0, bad;
	bool write = argc == 4 && !strcmp(argv[1], "write");
	uint8_t *mem;
	int fd;

	if (!pages || (!write && strcmp(argv[1], "verify"))) {
		fputs("usage: rmnic_mmap write|verify FILE MIB\n", stderr);
		return 2;
	}
	fd = open(argv[2], O_RDWR | O_CREAT, 0600);
	if (fd < 0 || (write && ftruncate(fd, pages * RMNIC_TEST_PAGE))) {
		perror(argv[2]);
		return 2;
	}
	mem = mmap(NULL, pages * RMNIC_TEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED) {
		perror(argv[2]);
		return 2;
	}
	if (!write) {
		bad = rmnic_test_bad_pages(mem, pages, 1);
		printf("%zu of %zu pages are wrong\n", bad, pages);
		return bad != 0;
	}
	rmnic_test_fill_all(mem, pages, 1);
	if (msync(mem, pages * RMNIC_TEST_PAGE, MS_SYNC)) {
		perror("msync");
		return 2;
	}
	return 0;
}
