/* SPDX-License-Identifier: BSD-3-Clause */
/* ring.h: every head, tail and phase of small rings, at the start and around the wrap at 2^32. */
#include "rig.h"

static const uint32_t depths[] = { 2, 4, 8 };
/* First indexes of a run: where indexes start, and where they wrap. */
static const uint32_t starts[] = { 0, 0x80000000u - 40, 0xffffffffu - 40 };

#define FOR_EACH_DEPTH(d) for (size_t d##_ = 0; d##_ < 3; d##_++)
#define RUN               100u

/* RING-1: neighbouring indexes have neighbouring slots, also over the wrap. */
static void rmnic_ring_slot__runs_around(void **state)
{
	(void)state;
	FOR_EACH_DEPTH(d)
	{
		uint32_t depth = depths[d_];

		for (size_t s = 0; s < 3; s++)
			for (uint32_t i = 0; i < RUN; i++) {
				uint32_t idx = starts[s] + i;

				assert_true(rmnic_ring_slot(idx, depth) < depth);
				assert_int_equal(rmnic_ring_slot(idx + 1, depth),
						 (rmnic_ring_slot(idx, depth) + 1) % depth);
			}
	}
	assert_int_equal(rmnic_ring_slot(0, 8), 0);
}

static void rmnic_ring_count__full_and_empty_differ(void **state)
{
	(void)state;
	FOR_EACH_DEPTH(d)
		for (size_t s = 0; s < 3; s++)
			for (uint32_t i = 0; i < RUN; i++)
				for (uint32_t n = 0; n <= depths[d_]; n++)
					assert_int_equal(rmnic_ring_count(starts[s] + i + n,
									  starts[s] + i),
							 n);
}

/* RING-7: at most depth ahead, never behind. */
static void rmnic_ring_valid__at_most_a_ring_ahead(void **state)
{
	(void)state;
	FOR_EACH_DEPTH(d)
		for (size_t s = 0; s < 3; s++)
			for (uint32_t i = 0; i < RUN; i++)
				for (int32_t n = -20; n <= 20; n++) {
					uint32_t head = starts[s] + i;
					bool valid = n >= 0 && n <= (int32_t)depths[d_];

					assert_int_equal(rmnic_ring_valid(head + (uint32_t)n, head,
									  depths[d_]),
							 valid);
				}
	assert_false(rmnic_ring_valid(0x80000000u, 0, 4096));
}

/* RING-3: 1 on the first lap, then it toggles with each; the same within a lap. */
static void rmnic_ring_phase__toggles_each_lap(void **state)
{
	(void)state;
	FOR_EACH_DEPTH(d)
	{
		uint32_t depth = depths[d_];

		for (uint32_t i = 0; i < RUN; i++)
			assert_int_equal(rmnic_ring_phase(i, depth), (i / depth) % 2 ? 0 : 1);
		for (size_t s = 0; s < 3; s++)
			for (uint32_t i = 0; i < RUN; i++) {
				uint32_t idx = starts[s] + i;

				/* What a slot holds from the lap before is never taken for new. */
				assert_int_not_equal(rmnic_ring_phase(idx, depth),
						     rmnic_ring_phase(idx + depth, depth));
				if (rmnic_ring_slot(idx + 1, depth))
					assert_int_equal(rmnic_ring_phase(idx, depth),
							 rmnic_ring_phase(idx + 1, depth));
			}
	}
}

/* RING-11: exactly the moves that write the armed entry. */
static void rmnic_ring_armed__hits_exactly_the_armed_entry(void **state)
{
	(void)state;
	FOR_EACH_DEPTH(d)
		for (size_t s = 0; s < 3; s++)
			for (uint32_t i = 0; i < 20; i++)
				for (uint32_t n = 0; n <= depths[d_]; n++)
					for (int32_t a = -20; a <= 20; a++) {
						uint32_t old = starts[s] + i;
						bool hit = a >= 0 && a < (int32_t)n;

						assert_int_equal(
							rmnic_ring_armed(old + (uint32_t)a, old,
									 old + n),
							hit);
					}
}

/* A producer and a consumer that see nothing but phases: no entry lost, none seen twice. */
static void rmnic_ring_phase__every_head_and_tail(void **state)
{
	(void)state;
	FOR_EACH_DEPTH(d)
		for (size_t s = 0; s < 3; s++)
			for (uint32_t lead = 0; lead <= depths[d_]; lead++) {
				uint32_t depth = depths[d_], phase[8], value[8];
				uint32_t head = starts[s] - starts[s] % depth, tail = head;

				/* The lap before the first. */
				for (uint32_t i = 0; i < depth; i++)
					phase[i] = rmnic_ring_phase(head - depth + i, depth);
				for (uint32_t step = 0; step < RUN; step++) {
					while (rmnic_ring_count(tail, head) < lead) {
						uint32_t slot = rmnic_ring_slot(tail, depth);

						phase[slot] = rmnic_ring_phase(tail, depth);
						value[slot] = tail++;
					}
					if (lead < depth || step % 2) {
						uint32_t seen = head;

						while (seen - head < depth &&
						       phase[rmnic_ring_slot(seen, depth)] ==
							       rmnic_ring_phase(seen, depth))
							seen++;
						assert_int_equal(seen, tail);
					}
					if (lead) {
						assert_int_equal(
							value[rmnic_ring_slot(head, depth)], head);
						head++;
					}
				}
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_ring_slot__runs_around),
		cmocka_unit_test(rmnic_ring_count__full_and_empty_differ),
		cmocka_unit_test(rmnic_ring_valid__at_most_a_ring_ahead),
		cmocka_unit_test(rmnic_ring_phase__toggles_each_lap),
		cmocka_unit_test(rmnic_ring_armed__hits_exactly_the_armed_entry),
		cmocka_unit_test(rmnic_ring_phase__every_head_and_tail),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
