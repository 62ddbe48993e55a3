/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-3-Clause) */
/*
 * handshake.pml - nobody sleeps through work: the two handshakes of spec/device.md.
 *
 * A driver submits commands and waits for each, polling or by interrupt; a device executes them,
 * polling or asleep (RING-9, RING-10, RING-11, RING-15). Stores go through a buffer, in order,
 * and reach memory later (as on x86, and posted writes on PCI Express): what a load on the
 * other side sees before that is the old value. A fence waits until the buffer is empty.
 *
 * A lost wake-up or interrupt leaves the driver waiting for good: an invalid end state.
 * Mutants, each of which must lose one: NO_DRIVER_FENCE, NO_DEVICE_FENCE, NO_LAST_LOOK, NO_ARM_FENCE,
 * NO_CQE_FENCE, NO_ARM_LOOK.
 */
#ifndef COMMANDS
#define COMMANDS 3
#endif

#define TAIL     0 /* doorbell record: SQEs submitted */
#define ARM      1 /* doorbell record: CQE that shall raise an interrupt */
#define NEED     2 /* doorbell record: need_wakeup */
#define CQ       3 /* CQEs written: stands for their phase words */
#define DOORBELL 4
#define IRQ      5

byte mem[6];
chan driver_sb = [2] of { byte, byte };
chan device_sb = [2] of { byte, byte };

/* A zeroed record arms the first completion. */
init {
	atomic {
		mem[NEED] = 1; /* RING-15: it sleeps from the start */
		run drain(driver_sb);
		run drain(device_sb);
		run driver();
		run device();
	}
}

proctype drain(chan sb)
{
	byte where, value;

end:	do
	:: atomic { sb?where,value -> mem[where] = value }
	od
}

proctype driver()
{
	byte done = 0;

	do
	:: done == COMMANDS -> break
	:: else ->
		driver_sb!TAIL,done + 1;
#ifndef NO_DRIVER_FENCE
		empty(driver_sb);
#endif
		if
		:: mem[NEED] -> driver_sb!DOORBELL,1
		:: else
		fi;
		do
		:: mem[CQ] > done -> break /* polling saw it */
		:: true -> /* or it stops polling */
			driver_sb!ARM,done;
#ifndef NO_ARM_FENCE
			empty(driver_sb);
#endif
#ifndef NO_ARM_LOOK
			if
			:: mem[CQ] > done -> break
			:: else
			fi;
#endif
			atomic { mem[IRQ] -> mem[IRQ] = 0 }
		od;
		done++
	od;
	/* Everything completed; the device may sleep for ever. */
}

proctype device()
{
	byte fetched = 0;

	goto asleep;
	do
	:: mem[TAIL] != fetched ->
		fetched++;
		device_sb!CQ,fetched;
#ifndef NO_CQE_FENCE
		empty(device_sb);
#endif
		if
		:: mem[ARM] == fetched - 1 -> device_sb!IRQ,1
		:: else
		fi
	:: mem[TAIL] == fetched -> /* an empty round: it goes to sleep */
		device_sb!NEED,1;
#ifndef NO_DEVICE_FENCE
		empty(device_sb);
#endif
#ifndef NO_LAST_LOOK
		if
		:: mem[TAIL] != fetched -> device_sb!NEED,0; goto round
		:: else
		fi;
#endif
asleep:
end:		atomic { mem[DOORBELL] -> mem[DOORBELL] = 0 };
		device_sb!NEED,0;
round:		skip
	od
}
