/* The protocol of ipc/detail/ring.cpp, with a crash possible before each of its steps, for spin(1).
 *
 * Two producers push one batch of one or two messages each, or abandon it; two consumers pop batches
 * until the end; somebody closes the queue at any time; whoever is blocked by the dead reaps them,
 * and may be killed while it does so. A step is one access to shared memory. Checked in every order:
 *   - a consumer finds at each position what was published there, and positions are taken in order,
 *     so that no message comes twice, or before another one;
 *   - what was claimed is published, abandoned, or counted once as lost by a dead producer;
 *   - what was published is delivered, or counted once as lost by a dead consumer;
 *   - nobody who lives waits for ever (an invalid end state).
 *
 * Not in the model: weak memory (the comments of ring.hpp), the lock of the administration (Mutex
 * has tests of its own), sleeping (bounded by kLongestSleep; waiting for a change stands for it).
 *
 * Each of these moves one step, and must be found out:
 *   TICKET_FIRST          a producer advances the tail before it names itself in the slot
 *   PUBLISH_FIRST_TO_LAST a batch is published from its first slot on
 *   FREE_FIRST_TO_LAST    a batch is freed from its first slot on
 *   COUNT_BEFORE_JOURNAL  the reaper counts a loss before it writes down that it is at it
 *   PASS_UNREAD           a consumer takes for read all that lies before an abandoned position
 *   FREE_BEFORE_JOURNAL   the reaper frees before it writes down what it will count
 */
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef PUSHED_0 /* how many messages each wants at a time; 0: it is not there */
#define PUSHED_0 2
#define PUSHED_1 1
#define POPPED_0 2
#define POPPED_1 1
#endif
#define SLOTS 2
#define PRODUCERS 2
#define CONSUMERS 2
#define WORKERS (PRODUCERS + CONSUMERS)
#define POSITIONS 12

#define FREE 0
#define WRITING 1
#define READY 2
#define READING 3
#define NOBODY 7

/* Shared memory. The four parts of a word change and are compared together. */
typedef Word { byte phase; byte lap; byte owner; byte count }
Word slot[SLOTS];
byte cell[SLOTS];
byte tail, head;
bool closed;
byte lost_by_producers, lost_by_consumers;
bool begun; /* the journal */
byte journal_slot;
Word journal_word;
byte journal_producers, journal_consumers;

/* What only the observer knows. */
bool dead[WORKERS];
byte crashes, ended;
byte published[POSITIONS]; /* message by position; 0: none */
byte claimed, abandoned, committed, delivered;
byte died_writing, died_reading;
byte next_taken;

#define at(p) slot[(p) % SLOTS]
#define lap_of(p) ((p) / SLOTS)
#define is(w, f, l, o, c) (w.phase == f && w.lap == l && w.owner == o && w.count == c)
#define set(w, f, l, o, c) w.phase = f; w.lap = l; w.owner = o; w.count = c
#define same(w, v) is(w, v.phase, v.lap, v.owner, v.count)
#define copy(v, w) set(v, w.phase, w.lap, w.owner, w.count)

#define held_by_dead(s) \
  ((slot[s].phase == WRITING || slot[s].phase == READING) && slot[s].owner != NOBODY && \
   dead[slot[s].owner])

/* Killed here, or not; `lost` is what it holds. */
#define may_die(lost, counter) \
  if \
  :: crashes < CRASHES -> crashes++; dead[me] = true; counter = counter + lost; goto end \
  :: true \
  fi

proctype producer(byte me; byte wanted) {
  byte position, found, i;
  Word seen;

  if
  :: wanted == 0 -> goto end
  :: else
  fi;
again:
  atomic {
    may_die(0, died_writing);
    if
    :: closed -> goto end
    :: else
    fi;
    position = tail
  }
look:
  atomic { may_die(0, died_writing); copy(seen, at(position)) }
  if
  :: seen.lap > lap_of(position) ->
     position = position + (seen.lap - lap_of(position) - 1) * SLOTS + 1; goto look
  :: seen.lap < lap_of(position) -> /* full */
     atomic { (!same(at(position), seen) || closed) -> goto again }
  :: seen.lap == lap_of(position) && seen.phase == READY && seen.count == 0 -> goto end
  :: seen.lap == lap_of(position) && seen.phase != FREE && !(seen.phase == READY && seen.count == 0) ->
     position = position + seen.count; goto look
  :: else
  fi;
  found = 1;
  if
  :: wanted == 2 ->
     atomic {
       may_die(0, died_writing);
       if
       :: is(at(position + 1), FREE, lap_of(position + 1), 0, 0) -> found = 2
       :: else
       fi
     }
  :: else
  fi;
#ifdef TICKET_FIRST
  atomic { may_die(0, died_writing); tail = position + found }
#endif
  atomic {
    may_die(0, died_writing);
    if
    :: is(at(position), FREE, lap_of(position), 0, 0) ->
       set(at(position), WRITING, lap_of(position), me, found);
       claimed = claimed + found
    :: else -> goto look
    fi
  }
#ifndef TICKET_FIRST
  atomic { may_die(found, died_writing); tail = position + found } /* which may set it back */
#endif
  if
  :: true -> /* abandon */
#ifdef FREE_FIRST_TO_LAST
     i = 0;
     do
     :: i < found ->
        atomic {
          may_die(found * (i == 0), died_writing);
          abandoned = abandoned + found * (i == 0);
          set(at(position + i), FREE, lap_of(position + i) + 1, 0, 0)
        }
        i++
     :: else -> goto end
     od
#else
     i = found;
     do
     :: i > 0 ->
        i--;
        atomic {
          may_die(found, died_writing);
          abandoned = abandoned + found * (i == 0);
          set(at(position + i), FREE, lap_of(position + i) + 1, 0, 0)
        }
     :: else -> goto end
     od
#endif
  :: true
  fi;
  atomic { /* nobody else looks at these cells meanwhile */
    may_die(found, died_writing);
    i = 0;
    do
    :: i < found -> cell[(position + i) % SLOTS] = 1 + me * 2 + i; i++
    :: else -> break
    od
  }
#ifdef PUBLISH_FIRST_TO_LAST
  i = 0;
  do
  :: i < found ->
     atomic {
       may_die(found - i, died_writing);
       published[position + i] = 1 + me * 2 + i;
       committed++;
       set(at(position + i), READY, lap_of(position + i), 0, 1)
     }
     i++
  :: else -> break
  od;
#else
  i = found;
  do
  :: i > 0 ->
     i--;
     atomic {
       may_die(found, died_writing);
       published[position + i] = 1 + me * 2 + i;
       committed = committed + found * (i == 0);
       set(at(position + i), READY, lap_of(position + i), 0, 1)
     }
  :: else -> break
  od;
#endif
end:
  atomic { ended++; position = 0; found = 0; i = 0; set(seen, 0, 0, 0, 0) }
}

proctype consumer(byte me; byte wanted) {
  byte position, found, i;
  Word seen;

  if
  :: wanted == 0 -> dead[me] = true; goto end
  :: else
  fi;
again:
  atomic { may_die(0, died_reading); position = head; found = 0; i = 0; set(seen, 0, 0, 0, 0) }
look:
  atomic { may_die(0, died_reading); copy(seen, at(position)) }
  if
  :: seen.lap > lap_of(position) ->
#ifdef PASS_UNREAD
     position = position + (seen.lap - lap_of(position) - 1) * SLOTS + 1;
#else
     if
     :: seen.lap - lap_of(position) < 2 -> position++
     :: else -> position = position + (seen.lap - lap_of(position) - 2) * SLOTS + 1
     fi;
#endif
     goto look
  :: seen.lap < lap_of(position) || (seen.lap == lap_of(position) && seen.phase == WRITING) ->
     atomic { !same(at(position), seen) -> goto again }
  :: seen.lap == lap_of(position) && seen.phase == READING ->
     position = position + seen.count; goto look
  :: seen.lap == lap_of(position) && seen.phase == FREE ->
     atomic { (closed || !same(at(position), seen)) -> may_die(0, died_reading) }
     atomic { /* the end is here, when no producer was faster */
       may_die(0, died_reading);
       if
       :: closed && same(at(position), seen) -> set(at(position), READY, seen.lap, 0, 0)
       :: else
       fi
     }
     goto look
  :: seen.lap == lap_of(position) && seen.phase == READY && seen.count == 0 -> goto end
  :: else
  fi;
  found = 1;
  if
  :: wanted == 2 ->
     atomic {
       may_die(0, died_reading);
       if
       :: is(at(position + 1), READY, lap_of(position + 1), 0, 1) -> found = 2
       :: else
       fi
     }
  :: else
  fi;
  atomic {
    may_die(0, died_reading);
    if
    :: same(at(position), seen) ->
       set(at(position), READING, seen.lap, me, found);
       assert(position >= next_taken);
       next_taken = position + found
    :: else -> goto look
    fi
  }
  atomic { may_die(found, died_reading); head = position + found }
  atomic {
    may_die(found, died_reading);
    i = 0;
    do
    :: i < found ->
       assert(published[position + i] != 0);
       assert(cell[(position + i) % SLOTS] == published[position + i]);
       i++
    :: else -> break
    od
  }
#ifdef FREE_FIRST_TO_LAST
  i = 0;
  do
  :: i < found ->
     atomic {
       may_die(found * (i == 0), died_reading);
       delivered = delivered + found * (i == 0);
       set(at(position + i), FREE, lap_of(position + i) + 1, 0, 0)
     }
     i++
  :: else -> break
  od;
#else
  i = found;
  do
  :: i > 0 ->
     i--;
     atomic {
       may_die(found, died_reading);
       delivered = delivered + found * (i == 0);
       set(at(position + i), FREE, lap_of(position + i) + 1, 0, 0)
     }
  :: else -> break
  od;
#endif
  goto again;
end:
  atomic { ended++; position = 0; found = 0; i = 0; set(seen, 0, 0, 0, 0) }
}

/* Whoever is blocked, under the lock of the administration; `killed` is one that dies, and another
 * one takes over the lock. */
#define killed \
  if \
  :: crashes < CRASHES -> crashes++; goto takeover \
  :: true \
  fi
#define free_range(first, what) \
  i = what.count; \
  do \
  :: i > 0 -> \
     i--; \
     atomic { \
       killed; \
       set(slot[(first + i) % SLOTS], FREE, what.lap + (first + i) / SLOTS + 1, 0, 0) \
     } \
  :: else -> break \
  od

proctype reaper() {
  byte index, i;
  Word taken;

takeover:
  index = 0;
  i = 0;
  set(taken, 0, 0, 0, 0);
end_of_all: /* blocked until a dead one holds something, or a reaper died at its work */
  if
  :: begun
  :: !begun && held_by_dead(0)
  :: !begun && held_by_dead(1) -> index = 1
  fi;
  if
  :: begun -> goto finish
  :: else
  fi;
  atomic { killed; copy(taken, slot[index]) }
#ifdef FREE_BEFORE_JOURNAL
  free_range(index, taken);
#endif
#ifdef COUNT_BEFORE_JOURNAL
  atomic {
    killed;
    if
    :: taken.phase == WRITING -> lost_by_producers = lost_by_producers + taken.count
    :: else -> lost_by_consumers = lost_by_consumers + taken.count
    fi
  }
#endif
  atomic { /* nobody reads it before `begun` */
    killed;
    journal_slot = index;
    copy(journal_word, taken);
    journal_producers = lost_by_producers;
    journal_consumers = lost_by_consumers;
#ifndef COUNT_BEFORE_JOURNAL
    if
    :: taken.phase == WRITING -> journal_producers = journal_producers + taken.count
    :: else -> journal_consumers = journal_consumers + taken.count
    fi
#endif
  }
  atomic { killed; begun = true }
#ifndef FREE_BEFORE_JOURNAL
  free_range(index, taken);
#endif
finish:
  atomic { killed; index = journal_slot; copy(taken, journal_word) }
  if
  :: same(slot[index], taken) -> free_range(index, taken)
  :: else
  fi;
  atomic { killed; lost_by_producers = journal_producers }
  atomic { killed; lost_by_consumers = journal_consumers }
  atomic { killed; begun = false };
  goto takeover
}

proctype closer() {
  closed = true
}

init {
  byte i;
  byte left;
  atomic {
    run producer(0, PUSHED_0);
    run producer(1, PUSHED_1);
    run consumer(2, POPPED_0);
    run consumer(3, POPPED_1);
    run reaper();
    run closer()
  }
  atomic {
    (ended == WORKERS && closed && !begun && !held_by_dead(0) && !held_by_dead(1)) ->
    i = 0;
    do
    :: i < SLOTS ->
       if
       :: slot[i].phase == READY -> left = left + slot[i].count
       :: else
       fi;
       i++
    :: else -> break
    od;
    assert(dead[2] && dead[3] || left == 0);
    assert(lost_by_producers == died_writing);
    assert(lost_by_consumers == died_reading);
    assert(claimed == committed + abandoned + lost_by_producers);
    assert(committed == delivered + lost_by_consumers + left)
  }
}
