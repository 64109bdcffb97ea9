/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Weak memory for the models.
 *
 * A store goes into the store buffer of its CPU, whose own loads see it at once,
 * and reaches memory later.  Stores of one CPU to different variables reach it in
 * any order, as on arm64; x86 (TSO) keeps their order, so that what holds here
 * holds there too.  A full barrier waits for the buffer to be empty.  Taking a
 * lock does not, as only acquire semantics are promised for it (on x86 it does);
 * giving it back is a store that comes after all that were made before it.
 *
 * Loads happen in the order of the text.  Where a barrier keeps arm64 from
 * swapping two of them, a model without that barrier chooses either order.
 *
 * A model defines CPUS, VARS (the number of variables, locks are some of them),
 * and UNORDERED: OVERTAKES() of each that is no lock.  A process has "me", its CPU.
 */
byte mem[VARS];
chan buffer[CPUS] = [VARS] of { byte, byte };

#define OVERTAKES(var)	:: atomic { buffer[cpu]??var, x -> mem[var] = x; x = 0 }

/* What brings the stores of a CPU to memory. */
proctype Buffer(byte cpu)
{
	byte v, x;

end:	do
	:: atomic { buffer[cpu]?v, x -> mem[v] = x; v = 0; x = 0 }
	UNORDERED
	od
}

#define pending(v)	buffer[me]??[eval(v), _]

/* One store of a variable at a time. */
inline store(v, value)
{
	atomic { !(pending(v)) -> buffer[me]!v, value }
}

inline load(v, ret)
{
	atomic {
		if
		:: pending(v) -> buffer[me]?? <eval(v), ret>
		:: else -> ret = mem[v]
		fi
	}
}

#define smp_mb()	empty(buffer[me])

inline lock(l)
{
	atomic { mem[l] == 0 && !(pending(l)) -> mem[l] = 1 }
}

inline unlock(l)
{
	store(l, 0)
}
