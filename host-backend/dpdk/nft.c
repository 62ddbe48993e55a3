/* SPDX-License-Identifier: BSD-3-Clause */
/* The ingress rule, by the nft program: it is needed twice in a process's life. */
#include "dpdk/nft.h"

#include <ctype.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"

struct rmnic_nft {
	char table[64];
};

extern char **environ;

/* Runs nft with the script as its argument; what it complains of goes to said. */
static int nft_run(const char *script, char *said, size_t len)
{
	char *argv[] = { (char *)(uintptr_t)"nft", (char *)(uintptr_t)script, NULL };
	posix_spawn_file_actions_t actions;
	int ends[2], status = -1, error;
	size_t used = 0;
	ssize_t got;
	pid_t pid;

	if (pipe(ends)) {
		snprintf(said, len, "%s", strerror(errno));
		return -1;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	posix_spawn_file_actions_addclose(&actions, ends[1]);
	/* /usr/sbin is not in every user's PATH. */
	error = posix_spawnp(&pid, "nft", &actions, NULL, argv, environ);
	if (error)
		error = posix_spawn(&pid, "/usr/sbin/nft", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	while (!error && (got = read(ends[0], said + used, len - 1 - used)) > 0)
		used += (size_t)got;
	close(ends[0]);
	said[used] = '\0';
	said[strcspn(said, "\n")] = '\0';
	if (error) {
		snprintf(said, len, "nft: %s (package nftables)", strerror(error));
		return -1;
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return -1;
	return 0;
}

struct rmnic_nft *rmnic_nft_add(const char *interface, uint32_t ip, uint16_t first, uint16_t last,
				struct rmnic_error *err)
{
	struct rmnic_nft *nft = calloc(1, sizeof(*nft));
	char script[768], said[256];

	if (!nft) {
		rmnic_error_set(err, "%s", strerror(errno));
		return NULL;
	}
	snprintf(nft->table, sizeof(nft->table), "rmnic_%s_%u", interface, first);
	for (char *c = nft->table; *c; c++) {
		if (!isalnum((unsigned char)*c))
			*c = '_';
	}
	/* One transaction: added so that it can be deleted whether or not it was there. */
	snprintf(script, sizeof(script),
		 "add table netdev %s; delete table netdev %s; add table netdev %s; "
		 "add chain netdev %s in { type filter hook ingress device \"%s\" priority -500; }; "
		 "add rule netdev %s in ip daddr %u.%u.%u.%u udp dport %u-%u drop",
		 nft->table, nft->table, nft->table, nft->table, interface, nft->table, ip >> 24,
		 ip >> 16 & 255, ip >> 8 & 255, ip & 255, first, last);
	if (nft_run(script, said, sizeof(said))) {
		rmnic_error_set(err, "%s", said);
		free(nft);
		return NULL;
	}
	return nft;
}

void rmnic_nft_remove(struct rmnic_nft *nft)
{
	char script[128], said[256];

	if (!nft)
		return;
	snprintf(script, sizeof(script), "delete table netdev %s", nft->table);
	if (nft_run(script, said, sizeof(said)))
		rmnic_log_warn("nftables' table netdev %s is left behind: %s", nft->table, said);
	free(nft);
}
