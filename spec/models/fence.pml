/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-3-Clause) */
/*
 * fence.pml - an older backend that wakes up changes nothing (spec/rmp.md, RMP-13, RMP-14,
 * RMP-19; spec/state.md, STATE-2, STATE-3).
 *
 * Two servers hold a page. The first backend (epoch 1) writes versions to both and acknowledges
 * what both hold; at any moment it may be stopped, and its datagrams stay under way, to arrive in
 * any order and twice. Its successor seals epoch 2 on both, and then reads, writes and reads.
 * What it reads is never older than what was acknowledged, and nothing of the older epoch
 * has an effect after the seal.
 * Mutants, each of which must break an assertion: NO_FENCE, FENCE_ON_RECEIPT (a write that waits in
 * the server's queue is applied after the seal), ACK_ONE, OLDER_APPLIED, READ_BEFORE_SEAL.
 */
#define SERVERS 2

/* A datagram: epoch, version. */
chan wire[SERVERS] = [3] of { byte, byte };
chan queue[SERVERS] = [2] of { byte, byte }; /* received, waiting to be applied */

byte fence[SERVERS] = 1;
byte held[SERVERS];   /* version */
byte acked;           /* to the guest: in the state block */
byte next_version = 1; /* in the state block (STATE-7) */
bool answered[6];     /* [server * 3 + version] of the older epoch, on their way back */
bool stopped;

proctype server(byte s)
{
	byte epoch, version;

end:	do
	/* Any order: a datagram may be overtaken. */
	:: atomic { len(wire[s]) > 1 -> wire[s]?epoch,version; wire[s]!epoch,version }
	:: atomic { wire[s]?epoch,version ->
		if
#ifndef NO_FENCE
		:: epoch < fence[s] /* answered FENCED */
#endif
		:: nfull(queue[s]) -> queue[s]!epoch,version
		:: full(queue[s]) /* BUSY */
		fi
		}
	:: atomic { queue[s]?epoch,version ->
#if !defined(NO_FENCE) && !defined(FENCE_ON_RECEIPT)
		if
		:: epoch < fence[s] -> goto end
		:: else
		fi;
#endif
		if
#ifdef OLDER_APPLIED
		:: true -> held[s] = version
#else
		:: version > held[s] -> held[s] = version
		:: else /* a duplicate, or STALE */
#endif
		fi;
		if
		:: epoch == 1 -> answered[s * 3 + version] = true
		:: else
		fi
		}
	od
}

/* Epoch 1: writes versions 1 and 2, one after the other. */
proctype older()
{
	byte version;

	do
	:: next_version > 2 -> break
	:: else ->
		atomic { version = next_version; next_version++ };
		wire[0]!1,version;
		wire[1]!1,version;
		if
		:: wire[0]!1,version /* sent again: a duplicate */
		:: skip
		fi;
		/* It goes on only when it is not stopped; what it sent is under way all the same. */
#ifdef ACK_ONE
end1:		atomic { !stopped && answered[0 * 3 + version] -> acked = version }
#else
end1:		atomic { !stopped && answered[0 * 3 + version] && answered[1 * 3 + version] ->
			acked = version }
#endif
	od;
}

proctype newer()
{
	byte first, version, s;

	stopped = true; /* in the middle of anything */
#ifdef READ_BEFORE_SEAL
	atomic { if :: s = 0 :: s = 1 fi; first = held[s] };
	atomic { fence[0] = 2; fence[1] = 2 };
#else
	fence[0] = 2;
	fence[1] = 2;
	atomic { if :: s = 0 :: s = 1 fi; first = held[s] };
#endif
	assert(first >= acked); /* STATE-3 */
	/* Nothing of epoch 1 happens any more: the same server answers the same. */
	assert(held[s] == first);
	atomic { version = next_version; next_version++ };
	wire[0]!2,version;
	wire[1]!2,version;
	do
	:: held[0] == version && held[1] == version -> break /* both answered: acknowledged */
	:: timeout -> wire[0]!2,version; wire[1]!2,version /* one was BUSY */
	od;
	acked = version;
	if :: s = 0 :: s = 1 fi;
	assert(held[s] == version)
}

init {
	atomic {
		run server(0);
		run server(1);
		run older();
		run newer()
	}
}
