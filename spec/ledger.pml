/* Rule 24 of docs/protocol.md by itself: the ledger of a large group is in pages, and the state names it.
 *
 * Of a state here is only what the ledger needs: whether there is a round, and which, over when there is another; who
 * coordinates; which ledger is its own. Of a ledger only of which round it speaks. Each change of either is a new
 * ledger, as are the departures within a round. Node i is on page i % PAGES, and has rank i.
 */
#ifndef NODES
#define NODES 2
#endif
#ifndef PAGES
#define PAGES 2
#endif
#ifndef HEIRS
#define HEIRS 1     /* so many of the first ranks have the ledger whole, besides who coordinates */
#endif
#ifndef CHANGES
#define CHANGES 1   /* how often something changes without need: a departure, or a next round */
#endif
#ifndef FAULTS
#define FAULTS 2
#endif

#define NOBODY NODES
#define NONE 0
#define ALL ((1 << PAGES) - 1)
#define each(i) i : 0 .. NODES - 1

#include "observed_ledger.pml"

typedef Head { bool there, runs; byte round, names, coordinator };
Head head;                  /* what stands; changed by compare-and-set alone */
byte stored[LEDGERS];       /* which pages of a ledger are stored; no id is ever used again */
byte says[LEDGERS];         /* of which round it speaks */
byte ledgers = 1, rounds = 1;

Head seen[NODES];           /* the state as a node knows it, */
bool current[NODES];        /* whether nobody has written since it read, */
bool stale[NODES];          /* and whether it knows that it has to read */
byte kept[NODES];           /* the ledger that it has whole */
byte missed[NODES];         /* the one of which a page was missing at its latest look */
byte misses[NODES];         /* and what its record says of that */
byte told[NODES];           /* the round in which it knows its rank */
bool crashed[NODES];

Head plan[NODES];           /* what a coordinator has decided, */
byte files[NODES];          /* the ledger that it stores first, */
byte next[NODES];           /* page by page, */
byte drops[NODES];          /* and the ledger that no state names any more */
Head late[NODES];           /* a write that comes some time after its sender gave it up, */
bool valid[NODES];          /* and whether its token still is */

byte faults = FAULTS, changes = CHANGES;
bool lost, gave_up;         /* whether anything stored was lost, and any answer */
hidden byte b, j, k;

#define whole(i) (seen[i].names == NONE || kept[i] == seen[i].names)
#define lives(i) (going && !crashed[i])
#define idle(i) (lives(i) && !plan[i].there && !drops[i])
#define sees(i) (lives(i) && !plan[i].there && !stale[i] && seen[i].there)
#define knows(i) (sees(i) && !drops[i])
#define leads(i) (seen[i].coordinator == i)
#define asks(i) (seen[i].runs && told[i] != seen[i].round)
#define finds(i, pages) ((stored[seen[i].names] & (pages)) == (pages))
#define has_said(i) (missed[i] == seen[i].names && misses[i] == seen[i].names)
#if NODES == 2
#define is_missed(ledger) (misses[0] == ledger || misses[1] == ledger)
#else
#define is_missed(ledger) (misses[0] == ledger || misses[1] == ledger || misses[2] == ledger || \
                           misses[NODES - 1] == ledger)
#endif

inline copy(to, from) {
    to.there = from.there; to.runs = from.runs; to.round = from.round; to.names = from.names;
    to.coordinator = from.coordinator
}

inline stands(new, i) {
    observe_state(new, i);
    copy(head, new);
    for (each(k)) { current[k] = false; valid[k] = false }
}

inline forget() {
    head.there = false;
    for (each(k)) { current[k] = false; valid[k] = false }
}

inline read(i) { copy(seen[i], head); current[i] = true; stale[i] = false }

/* What a node is told of its rank is of the round that runs, by the state that it has seen. */
inline tell(i, ledger) {
    assert(says[ledger] == seen[i].round);                                       /* agreement */
    told[i] = seen[i].round
}

/* Under a state that stands a page is missing only where it was lost. */
inline miss(i) {
    assert(lost || !current[i]);
    if
    :: missed[i] != seen[i].names -> missed[i] = seen[i].names; stale[i] = true
    :: else -> misses[i] = seen[i].names
    fi
}

/* Begin to write `plan[i]`, which differs from the state in its ledger. */
inline begin(i) {
    choose_ledger(i);
    plan[i].names = files[i]; says[files[i]] = plan[i].round; next[i] = 0
}

inline end(i) { files[i] = NONE; next[i] = 0; plan[i].there = false; plan[i].runs = false; plan[i].round = 0;
                plan[i].names = NONE; plan[i].coordinator = 0 }

inline form(i) { plan[i].runs = true; plan[i].round = rounds; rounds = rounds + 1; begin(i) }

/* Compare and set `plan[i]`. */
inline write(i) {
    j = files[i];
    if
    :: current[i] ->
        k = seen[i].names;
        if
        :: seen[i].there && k != plan[i].names -> drops[i] = k
        :: else
        fi;
        if
        :: j -> kept[i] = j
        :: else
        fi;
        stands(plan[i], i);
        read(i)
    :: current[i] && faults -> fail(); stands(plan[i], i); stale[i] = true                   /* the answer is lost */
    :: !valid[i] && faults && !IS_REPLAY -> fail(); stale[i] = true;
        copy(late[i], plan[i]); valid[i] = current[i]
    :: !current[i] ->
        drops[i] = j;
        if
        :: head.there -> read(i)
        :: else -> stale[i] = true
        fi
    fi;
    end(i)
}

proctype node(byte i) {
    do
    :: atomic { idle(i) && head.there && (!current[i] || stale[i]) -> read(i) }
#ifdef REPLAY
    :: atomic { is_next(RETURN, i) && says[what[at]] && told[i] == says[what[at]] && returned[i] != told[i] && going ->
        returned[i] = told[i]; go_on()
      }
    /* An answer that gets lost, or is of others. */
    :: atomic { knows(i) && seen[i].names && is_answered(i, which[at], finds(i, which[at])) -> go_on() }
#endif
    /* Who follows looks for itself alone; who has all of it need not look. */
    :: atomic { sees(i) && asks(i) && whole(i) -> tell(i, seen[i].names) }
    :: atomic { knows(i) && asks(i) && !whole(i) && finds(i, page_of(i)) && is_answered(i, page_of(i), 1) ->
        tell(i, seen[i].names); go_on()
      }
    :: atomic { knows(i) && asks(i) && !whole(i) && !finds(i, page_of(i)) && !has_said(i) &&
                is_answered(i, page_of(i), 0) ->
        miss(i); go_on()
      }
    /* The first ranks have all of it. */
    :: atomic { knows(i) && i < HEIRS && !asks(i) && !whole(i) && finds(i, ALL) && is_answered(i, ALL, 1) ->
        kept[i] = seen[i].names; go_on()
      }
    :: atomic { knows(i) && i < HEIRS && !asks(i) && !whole(i) && !finds(i, ALL) && !has_said(i) &&
                is_answered(i, ALL, 0) ->
        miss(i); go_on()
      }
    /* Rule 10. */
    :: atomic { knows(i) && current[i] && !leads(i) && stands_next(i) &&
                (seen[i].coordinator == NOBODY || crashed[seen[i].coordinator] || faults) ->
        if
        :: seen[i].coordinator == NOBODY || crashed[seen[i].coordinator]
        :: else -> befall()
        fi;
        copy(plan[i], seen[i]); plan[i].coordinator = i; write(i)
      }
    /* The coordinator has all of it before it decides. */
    :: atomic { knows(i) && leads(i) && !whole(i) && finds(i, ALL) && is_answered(i, ALL, 1) ->
        kept[i] = seen[i].names; go_on()
      }
    :: atomic { knows(i) && leads(i) && !whole(i) && !finds(i, ALL) && missed[i] != seen[i].names &&
                is_answered(i, ALL, 0) ->
        miss(i); go_on()
      }
    :: atomic { knows(i) && leads(i) && !whole(i) && !finds(i, ALL) && missed[i] == seen[i].names &&
                is_answered(i, ALL, 0) ->
        go_on();
        assert(lost || !current[i]);
        copy(plan[i], seen[i]); plan[i].runs = false; plan[i].round = 0; plan[i].names = NONE;
        if
        :: true
        :: form(i)
        fi
      }
    :: atomic { knows(i) && leads(i) && whole(i) && !seen[i].runs && stores(i) -> copy(plan[i], seen[i]); form(i) }
    :: atomic { knows(i) && leads(i) && whole(i) && seen[i].names && changes && stores(i) ->
        change(); copy(plan[i], seen[i]);
        if
        :: begin(i)
        :: form(i)
        fi
      }
    :: atomic { knows(i) && leads(i) && whole(i) && seen[i].names && is_missed(seen[i].names) && stores(i) ->
        copy(plan[i], seen[i]); begin(i)
      }
    /* All pages are there before the state that names them. */
    :: atomic { lives(i) && files[i] && next[i] < PAGES && is_stored(i) ->
        go_on();
        stored[files[i]] = stored[files[i]] | (1 << next[i]); next[i] = next[i] + 1
      }
    :: atomic { lives(i) && plan[i].there && next[i] == (files[i] -> PAGES : 0) && (!current[i] || stands_next(i)) ->
        write(i)
      }
    :: atomic { lives(i) && drops[i] && is_dropped(i) -> go_on(); stored[drops[i]] = 0; drops[i] = NONE }
    /* Rule 11: its pages are stored anew by who has them; who has not names the ledger that it knows of. */
    :: atomic { idle(i) && !head.there && seen[i].there ->
        current[i] = true; copy(plan[i], seen[i]); plan[i].coordinator = i;
        if
        :: whole(i) && seen[i].names -> begin(i)
        :: else
        fi
      }
    od
}

proctype fate(byte i) {
    do
    :: atomic { faults && lives(i) && !IS_REPLAY -> fail(); crashed[i] = true }
    /* A request is lost. */
    :: atomic { faults && lives(i) && plan[i].there && has_lost(i) -> fail(); stale[i] = true; end(i) }
    :: atomic { faults && lives(i) && drops[i] -> fail(); drops[i] = NONE }
#ifndef REPLAY
    :: atomic { valid[i] -> stands(late[i], i) }
    :: atomic { faults && i == 0 && head.there && head.names -> befall(); lost = true;
        if
        :: stored[head.names] = 0
        :: stored[head.names] = stored[head.names] & 1
        fi
      }
    :: atomic { faults && i == 0 && head.there -> befall(); lost = true; forget() }
#else
    :: atomic { going && i == 0 && is_next(LOSS, 0) -> lost = true;
        for (k : 1 .. LEDGERS - 1) { stored[k] = stored[k] & what[at] }
        go_on()
      }
    :: atomic { going && i == 0 && is_next(OBLIVION, 0) -> lost = true; forget(); go_on() }
#endif
    od
}

#define is_settled(i) (crashed[i] || (head.there && head.runs && told[i] == head.round))
#if NODES == 2
#define all_settled (is_settled(0) && is_settled(1))
#else
#define all_settled (is_settled(0) && is_settled(1) && is_settled(2))
#endif

#ifndef REPLAY
active proctype judge() {
    timeout ->
    assert(all_settled);                                                         /* progress */
    for (k : 1 .. LEDGERS - 1) { assert(lost || gave_up || !stored[k] || k == head.names) }   /* nothing is left */
}
#endif

init {
    atomic {
        byte i;
        head.there = true; head.coordinator = NOBODY;
        for (each(i)) { read(i) }
        prepare();
        for (each(i)) { run node(i); run fate(i) }
    }
}
