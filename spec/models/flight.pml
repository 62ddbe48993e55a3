/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-3-Clause) */
/*
 * flight.pml - each command completes exactly once, although the backend may die between any
 * two stores (spec/state.md, STATE-9 to STATE-12; spec/device.md, RING-5, RING-8).
 *
 * A driver sends page-outs (even numbers) and page-ins (odd ones) through rings of two entries.
 * Once it has consumed a CQE it uses the page for something else (REUSED). A page-out that is
 * redone then would store what is in the page now; a page-in would overwrite it.
 * Mutants, each of which must break an assertion or hang: HEAD_FIRST, REDO_COMPLETING, CQE_FIRST,
 * IDLE_FIRST, NO_REDRIVE.
 */
#define DEPTH    2
#ifndef COMMANDS
#define COMMANDS 3
#endif
#ifndef CRASHES
#define CRASHES  2
#endif

#define IDLE       0
#define FETCHED    1
#define COMPLETING 2

#define DATA(n)   (10 + (n)) /* what command n moves */
#define REUSED    99
#define IS_OUT(n) ((n) % 2 == 0)
#define NONE      255

/* The guest's memory. An SQE is the number of its command; its cid is number % DEPTH. */
byte sq[DEPTH] = NONE, sq_tail;
byte cq[DEPTH] = NONE, cq_head; /* cq: the command's number; stands for cid and phase */
byte page[COMMANDS];

/* The servers' memory. */
byte remote[COMMANDS];

/* The state block. */
byte flight_state[DEPTH], flight_number[DEPTH], flight_sq[DEPTH], flight_cq[DEPTH];
byte head, tail;

bool crash, over;

/* Kills the backend at any moment, and again. */
active proctype killer()
{
	byte crashes;

	do
	:: atomic { crashes < CRASHES && !over && !crash -> crash = true; crashes++ }
	:: over || crashes == CRASHES -> break
	od
}

inline driver_take()
{
	n = cq[cq_head % DEPTH];
	assert(n < COMMANDS && in_flight[n % DEPTH] == n + 1); /* not twice, nothing unknown */
	in_flight[n % DEPTH] = 0;
	assert(IS_OUT(n) || page[n] == DATA(n));
	cq[cq_head % DEPTH] = NONE; /* the phase of the next lap differs */
	page[n] = REUSED;
	cq_head++;
	consumed++
}

active proctype driver()
{
	byte n, sent, consumed;
	byte in_flight[DEPTH]; /* number + 1 by cid */

	do
	:: atomic { sent < COMMANDS && in_flight[sent % DEPTH] == 0 ->
		page[sent] = (IS_OUT(sent) -> DATA(sent) : 0);
		remote[sent] = (IS_OUT(sent) -> 0 : DATA(sent));
		in_flight[sent % DEPTH] = sent + 1;
		sq[sent % DEPTH] = sent;
		sent++;
		sq_tail = sent }
	:: atomic { cq_head < COMMANDS && cq[cq_head % DEPTH] != NONE -> driver_take() }
	:: consumed == COMMANDS -> break
	od;
	/* What a page-out stored is what was in the page when it was sent; page-ins are not redone. */
	atomic {
		n = 0;
		do
		:: n < COMMANDS ->
			assert(remote[n] == DATA(n) && page[n] == REUSED);
			n++
		:: else -> break
		od;
		over = true
	}
}

inline transfer(n)
{
	if
	:: IS_OUT(n) -> remote[n] = page[n]
	:: else -> page[n] = remote[n]
	fi
}

inline post(cid)
{
	cq[flight_cq[cid] % DEPTH] = flight_number[cid]
}

inline complete(cid)
{
#ifdef CQE_FIRST
	flight_cq[cid] = tail;
	post(cid);
	flight_state[cid] = COMPLETING;
#else
	d_step { flight_cq[cid] = tail; flight_state[cid] = COMPLETING };
	post(cid);
#endif
#ifdef IDLE_FIRST
	flight_state[cid] = IDLE;
	tail++
#else
	tail++;
	flight_state[cid] = IDLE
#endif
}

inline fetch()
{
	cid = sq[head % DEPTH] % DEPTH;
#ifdef HEAD_FIRST
	head++;
	d_step { flight_number[cid] = sq[(head - 1) % DEPTH]; flight_sq[cid] = head - 1;
		 flight_state[cid] = FETCHED }
#else
	d_step { flight_number[cid] = sq[head % DEPTH]; flight_sq[cid] = head;
		 flight_state[cid] = FETCHED };
	head++
#endif
}

/* Whether the CQE of a COMPLETING entry is in the ring, or was and has been consumed. */
#define POSTED(cid) (tail != flight_cq[cid] || cq_head > flight_cq[cid] || \
		     cq[flight_cq[cid] % DEPTH] == flight_number[cid])

/* What a successor does first. */
inline take_over()
{
	cid = 0;
	do
	:: cid == DEPTH -> break
	:: cid < DEPTH && flight_state[cid] == IDLE -> cid++
	:: cid < DEPTH && flight_state[cid] == COMPLETING ->
#ifdef REDO_COMPLETING
		transfer(flight_number[cid]);
#endif
		if
		:: POSTED(cid)
		:: else -> post(cid)
		fi;
		if
		:: tail == flight_cq[cid] -> tail++
		:: else
		fi;
		flight_state[cid] = IDLE;
		cid++
	:: cid < DEPTH && flight_state[cid] == FETCHED ->
		if
		:: flight_sq[cid] == head -> head++
		:: else
		fi;
#ifdef NO_REDRIVE
		flight_state[cid] = IDLE;
#endif
		cid++
	od;
	/* In the order of submission. */
	do
	:: cid = (flight_state[0] == FETCHED &&
		  (flight_state[1] != FETCHED || flight_sq[0] < flight_sq[1]) -> 0 : 1);
	   if
	   :: flight_state[cid] == FETCHED -> transfer(flight_number[cid]); complete(cid)
	   :: else -> break
	   fi
	od
}

#define IN_FLIGHT ((flight_state[0] != IDLE) + (flight_state[1] != IDLE))

active proctype backend()
{
	byte cid;

restart:
	{
		take_over();
		do
		:: over -> goto done
		:: head != sq_tail && tail - cq_head + IN_FLIGHT < DEPTH -> fetch()
		/* Commands end in any order. */
		:: flight_state[0] == FETCHED -> transfer(flight_number[0]); complete(0)
		:: flight_state[1] == FETCHED -> transfer(flight_number[1]); complete(1)
		od
	} unless {
		atomic { crash -> crash = false; goto restart }
	};
done:	skip
}
