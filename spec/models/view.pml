/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-3-Clause) */
/*
 * view.pml - views that change while a page moves (spec/state.md, STATE-21 to STATE-25, STATE-30).
 *
 * Two servers hold a page. The backend writes versions of it, drops a member at any moment, takes it
 * back under a new handle and fills it while it goes on writing; either server may be silent for as
 * long as it likes; the backend may die between any two steps, and its successor goes on with the state
 * block. At every moment each member that may be read holds what was acknowledged; and so does, when
 * the state block is gone, each member of the highest view that the servers answer with.
 * Mutants, each of which must break an assertion: ACK_FIRST (before the new view is in the state
 * block), NO_CONFIRM (before the members have recorded it), COPY_EARLY (while a write of an older view
 * is under way), NOT_SENT (writes do not go to the member that is being filled), MARK_UNHEARD (it is
 * filled before each member has recorded the view that adds it), NO_MARK (it may be read at once),
 * SINCE_LATE (a write under way when the member was dropped is forgotten), DROP_LAST (the last member that
 * can be read is dropped), CRASH_UNMARKS (a successor forgets that a member is being filled).
 */
#define SERVERS      2
#define LAST_VERSION 3
#define LAST_VIEW    5
#define BIT(s)       (1 << (s))
#define IN_SYNC      (members & ~syncing)

/* The servers. One that is cut off is one that does nothing for a while. */
byte held[SERVERS] = 1;
byte seen_view[SERVERS] = 1;
byte seen_members[SERVERS] = 3;
byte seen_syncing[SERVERS];

/* The state block. The write under way stands in it as well, until it is acknowledged. */
byte view = 1;
byte members = 3;
byte syncing;
byte since; /* of the member that is away */
byte word = 1;
byte next_version = 2;
byte writing;
byte acked = 1; /* what the guest knows */

/* The backend's own memory. */
byte life = 1;
byte targets;      /* of the write under way */
byte got;          /* of these, who holds it */
byte writing_view; /* in which it began */
byte confirmed = 1; /* the view that each of its members has recorded */
bool redriven = true;

/* Requests of the write under way; fence.pml is about those of a former backend. */
bool wire[SERVERS];

inline write_begin()
{
	writing = next_version;
	next_version++;
	writing_view = view;
	got = 0;
#ifdef NOT_SENT
	targets = IN_SYNC;
#else
	targets = members;
#endif
	wire[0] = (targets & BIT(0)) != 0;
	wire[1] = (targets & BIT(1)) != 0
}

/* Everybody who is still a member and was asked has it. */
#define WRITE_HELD (((targets & members) & ~got) == 0)

proctype writer()
{
	byte me = life;

end:	do
	:: life != me -> break
	:: atomic { life == me && writing == 0 && next_version <= LAST_VERSION -> write_begin() }
	/* STATE-21 */
#ifdef ACK_FIRST
	:: atomic { life == me && writing != 0 && got != 0 -> acked = writing; word = writing; writing = 0 }
#endif
#ifdef NO_CONFIRM
	:: atomic { life == me && writing != 0 && WRITE_HELD -> acked = writing; word = writing; writing = 0 }
#endif
	:: atomic { life == me && writing != 0 && WRITE_HELD && confirmed == view ->
		acked = writing; word = writing; writing = 0; redriven = true }
	od
}

/* One server; a request that is lost is sent again. */
proctype server(byte s)
{
end:	do
	:: atomic { wire[s] && writing != 0 ->
		held[s] = writing; got = got | BIT(s); wire[s] = false }
	/* RECORD_VIEW: to the members, in any order, each as soon as it can hear. */
	:: atomic { (members & BIT(s)) && seen_view[s] < view ->
		seen_view[s] = view; seen_members[s] = members; seen_syncing[s] = syncing }
	:: atomic { confirmed != view &&
		(!(members & BIT(0)) || seen_view[0] == view) &&
		(!(members & BIT(1)) || seen_view[1] == view) -> confirmed = view }
	od
}

/* Fills member s from the other one, which is in sync: STATE-23, STATE-25. */
inline fill(s)
{
	mark = view;
#ifndef MARK_UNHEARD
	/* Else the other one, dropped later, could be found with a view in which it is alone. */
	(life != me || confirmed == view);
#endif
#ifndef COPY_EARLY
	(life != me || writing == 0 || writing_view >= mark);
#endif
	atomic {
		if
		:: life == me && word >= since -> copy = held[1 - s]
		:: else -> copy = 0
		fi
	}
	atomic {
		if
		:: life == me && (syncing & BIT(s)) && copy > held[s] -> held[s] = copy
		:: else
		fi
	}
	atomic {
		if
		:: life == me && (syncing & BIT(s)) && view < LAST_VIEW ->
			syncing = syncing & ~BIT(s); view++
		:: else
		fi
	}
}

/* Drops a member, takes it back. Any silence may be a false alarm. */
proctype repairer()
{
	byte me = life, mark, copy, s;

end:	do
	:: life != me -> break
	:: syncing == 1 && life == me -> fill(0)
	:: syncing == 2 && life == me -> fill(1)
	:: atomic { life == me && view < LAST_VIEW && redriven ->
		if
		:: s = 0
		:: s = 1
		fi;
		/* STATE-22 */
		if
#ifdef DROP_LAST
		:: (members & BIT(s)) ->
#else
		:: (members & BIT(s)) && (IN_SYNC & ~BIT(s)) ->
#endif
			if
			/* What it lacks from an earlier absence, it still lacks. */
			:: (syncing & BIT(s))
#ifdef SINCE_LATE
			:: !(syncing & BIT(s)) -> since = next_version
#else
			:: !(syncing & BIT(s)) -> since = (writing != 0 -> writing : next_version)
#endif
			fi;
			members = members & ~BIT(s);
			syncing = syncing & ~BIT(s);
			view++
		/* STATE-24: it answers again. */
		:: !(members & BIT(s)) ->
			members = members | BIT(s);
#ifndef NO_MARK
			syncing = syncing | BIT(s);
#endif
			view++
		:: else
		fi }
	od
}

/* The backend dies; what is under way is driven again first, under a new version. */
proctype successor()
{
	atomic {
		life = 2;
		wire[0] = false;
		wire[1] = false;
		confirmed = 0;
#ifdef CRASH_UNMARKS
		syncing = 0;
#endif
		if
		:: writing != 0 -> redriven = false; write_begin()
		:: else
		fi;
		run writer();
		run repairer()
	}
}

/* --- What must never be true ---------------------------------------------------------------- */

#define HOLDS(s)  (held[s] >= acked)
#define LACKS(of, marked) ((((of) & ~(marked) & 1) && !HOLDS(0)) || (((of) & ~(marked) & 2) && !HOLDS(1)))

/* STATE-30: what server s answers is the highest view, and every member of it answers too. */
#define USABLE(s) (seen_members[s] == BIT(s) || seen_view[s] >= seen_view[1 - s])

active proctype reader()
{
	run server(0);
	run server(1);
	run writer();
	run repairer();
	run successor();
end:	do
	:: IN_SYNC == 0 -> assert(false)
	:: LACKS(members, syncing) -> assert(false)
	:: USABLE(0) && LACKS(seen_members[0], seen_syncing[0]) -> assert(false)
	:: USABLE(1) && LACKS(seen_members[1], seen_syncing[1]) -> assert(false)
	od
}
