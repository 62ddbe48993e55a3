// SPDX-License-Identifier: BSD-3-Clause
/*
 * host - let the host do something to this machine and print its answer, one line of JSON
 *
 *   host qmp '{"execute":"device_del","arguments":{"id":"rm0"}}'
 *   host event DEVICE_DELETED 20     wait up to 20 s for an event not yet asked for
 *   host get rm0 stats               qom-get of a device's property, by the device's id
 *   host set rm0 x-fault '"text"'    qom-set; the value is JSON
 *   host migrate                     live migration to a second QEMU, where this goes on
 *   host look                        what the command says that guest-run was given with --look
 *   host bell on|off                 an empty line every few seconds, which wakes this machine
 *
 * After 'savevm', a 'loadvm' is answered to the one who asked for the savevm: an "id" in the
 * QMP command, which the answer repeats, tells the two apart.
 *
 * Exit: 0 and the answer, 1 and the answer when it is an error, 2 wrong use or no port.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PORT "/dev/ttyS1"
#define LOCK "/run/host.lock"

static int usage(void)
{
	fputs("usage: host qmp JSON | event NAME [SECONDS] | get ID PROPERTY |"
	      " set ID PROPERTY JSON | migrate | look | bell on|off\n",
	      stderr);
	return 2;
}

/* The host takes one line a request; the verb's words become that line. */
static int request_format(char *line, size_t size, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	int len;

	if (!strcmp(verb, "qmp") && argc == 3)
		len = snprintf(line, size, "qmp %s\n", argv[2]);
	else if (!strcmp(verb, "event") && (argc == 3 || argc == 4))
		len = snprintf(line, size, "event %s %s\n", argv[2], argc == 4 ? argv[3] : "30");
	else if (!strcmp(verb, "get") && argc == 4)
		len = snprintf(line, size,
			       "qmp {\"execute\":\"qom-get\",\"arguments\":"
			       "{\"path\":\"%s\",\"property\":\"%s\"}}\n", argv[2], argv[3]);
	else if (!strcmp(verb, "set") && argc == 5)
		len = snprintf(line, size,
			       "qmp {\"execute\":\"qom-set\",\"arguments\":"
			       "{\"path\":\"%s\",\"property\":\"%s\",\"value\":%s}}\n",
			       argv[2], argv[3], argv[4]);
	else if (!strcmp(verb, "bell") && argc == 3)
		len = snprintf(line, size, "bell %s\n", argv[2]);
	else if ((!strcmp(verb, "migrate") || !strcmp(verb, "look")) && argc == 2)
		len = snprintf(line, size, "%s\n", verb);
	else
		return -1;
	return len < (int)size ? len : -1;
}

/*
 * Reads up to the newline and prints it; the first bytes tell an error from a result. Empty
 * lines are rings of the bell.
 */
static int answer_print(int port)
{
	static const char error[] = "{\"error\"";
	char c;
	size_t n = 0;
	int is_error = 1;

	while (read(port, &c, 1) == 1) {
		if (n == 0 && c == '\n')
			continue;
		if (n < sizeof(error) - 1 && c != error[n])
			is_error = 0;
		n++;
		putchar(c);
		if (c == '\n')
			return is_error;
	}
	fprintf(stderr, "host: %s ended before the answer did\n", PORT);
	return 2;
}

int main(int argc, char **argv)
{
	char line[4096];
	int len = request_format(line, sizeof(line), argc, argv);
	int lock, port;

	if (len < 0)
		return usage();
	/* An answer carries no address, so there is one question at a time. */
	lock = open(LOCK, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	port = open(PORT, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (lock < 0 || port < 0 || flock(lock, LOCK_EX)) {
		fprintf(stderr, "host: %s: %s\n", port < 0 ? PORT : LOCK, strerror(errno));
		return 2;
	}
	if (write(port, line, len) != len) {
		fprintf(stderr, "host: %s: write: %s\n", PORT, strerror(errno));
		return 2;
	}
	return answer_print(port);
}
