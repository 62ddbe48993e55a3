// SPDX-License-Identifier: BSD-3-Clause
/*
 * bfs MIB ROUNDS - breadth-first searches of a random graph of about MIB MiB, 16 edges a node
 *
 * Prints "nodes reached, sum of distances" of all searches, which only depend on the arguments.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define EDGES 16u

static uint64_t random_next(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15ull;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static uint64_t search(const uint32_t *edge, uint32_t *distance, uint32_t *queue, uint32_t nodes, uint32_t from, uint64_t *sum)
{
	uint32_t head = 0, tail = 0;

	for (uint32_t i = 0; i < nodes; i++)
		distance[i] = UINT32_MAX;
	distance[from] = 0;
	queue[tail++] = from;
	while (head < tail) {
		uint32_t node = queue[head++];

		*sum += distance[node];
		for (uint32_t i = 0; i < EDGES; i++) {
			uint32_t next = edge[(uint64_t)node * EDGES + i];

			if (distance[next] != UINT32_MAX)
				continue;
			distance[next] = distance[node] + 1;
			queue[tail++] = next;
		}
	}
	return tail;
}

int main(int argc, char **argv)
{
	uint32_t nodes = argc == 3 ? (uint32_t)(strtoull(argv[1], NULL, 10) << 20) / ((EDGES + 2) * 4) : 0;
	uint64_t reached = 0, sum = 0;
	uint32_t *edge, *distance, *queue;

	if (!nodes) {
		fprintf(stderr, "usage: bfs MIB ROUNDS\n");
		return 2;
	}
	edge = malloc((size_t)nodes * EDGES * 4);
	distance = malloc((size_t)nodes * 4);
	queue = malloc((size_t)nodes * 4);
	if (!edge || !distance || !queue)
		return 1;
	for (uint64_t i = 0; i < (uint64_t)nodes * EDGES; i++)
		edge[i] = (uint32_t)(random_next() % nodes);
	for (int i = 0; i < atoi(argv[2]); i++)
		reached += search(edge, distance, queue, nodes, (uint32_t)(random_next() % nodes), &sum);
	printf("%" PRIu64 " %" PRIu64 "\n", reached, sum);
	return 0;
}
