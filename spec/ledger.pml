/* Rule 24 of docs/protocol.md by itself: the ledger of a large group is in pages, and the state names it.
 *
 * Of a state here is only what the ledger needs: whether a round runs, and which; who coordinates; which ledger is its
 * own. Of a ledger only of which round it speaks. Each change of either is a new ledger, as are the departures within
 * a round. Node i is on page i % PAGES, and has rank i.
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
#define LEDGERS 12
#define ALL ((1 << PAGES) - 1)
#define each(i) i : 0 .. NODES - 1

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
hidden byte j, k;

#define whole(i) (seen[i].names == NONE || kept[i] == seen[i].names)
#define lives(i) (!crashed[i])
#define idle(i) (lives(i) && !files[i] && !drops[i])
#define knows(i) (idle(i) && !stale[i] && seen[i].there)
#define leads(i) (seen[i].coordinator == i)
#define asks(i) (seen[i].runs && told[i] != seen[i].round)
#define finds(i, pages) ((stored[seen[i].names] & (pages)) == (pages))
#define has_said(i) (missed[i] == seen[i].names && misses[i] == seen[i].names)
#define page_of(i) (1 << ((i) % PAGES))
#if NODES == 2
#define is_missed(ledger) (misses[0] == ledger || misses[1] == ledger)
#else
#define is_missed(ledger) (misses[0] == ledger || misses[1] == ledger || misses[2] == ledger)
#endif

inline copy(to, from) {
    to.there = from.there; to.runs = from.runs; to.round = from.round; to.names = from.names;
    to.coordinator = from.coordinator
}

inline stands(new) {
    copy(head, new);
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
    assert(ledgers < LEDGERS);
    plan[i].names = ledgers; says[ledgers] = plan[i].round; files[i] = ledgers; next[i] = 0;
    ledgers = ledgers + 1
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
        stands(plan[i]);
        read(i)
    :: current[i] && faults -> faults--; gave_up = true; stands(plan[i]); stale[i] = true    /* the answer is lost */
    :: !valid[i] && faults -> faults--; gave_up = true; stale[i] = true;
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
    /* Who follows looks for itself alone; who has all of it need not look. */
    :: atomic { knows(i) && asks(i) && whole(i) -> tell(i, seen[i].names) }
    :: atomic { knows(i) && asks(i) && !whole(i) && finds(i, page_of(i)) -> tell(i, seen[i].names) }
    :: atomic { knows(i) && asks(i) && !whole(i) && !finds(i, page_of(i)) && !has_said(i) -> miss(i) }
    /* The first ranks have all of it. */
    :: atomic { knows(i) && i < HEIRS && !asks(i) && !whole(i) && finds(i, ALL) -> kept[i] = seen[i].names }
    :: atomic { knows(i) && i < HEIRS && !asks(i) && !whole(i) && !finds(i, ALL) && !has_said(i) -> miss(i) }
    /* Rule 10. */
    :: atomic { knows(i) && current[i] && !leads(i) &&
                (seen[i].coordinator == NOBODY || crashed[seen[i].coordinator] || faults) ->
        if
        :: seen[i].coordinator == NOBODY || crashed[seen[i].coordinator]
        :: else -> faults--
        fi;
        copy(plan[i], seen[i]); plan[i].coordinator = i; write(i)
      }
    /* The coordinator has all of it before it decides. */
    :: atomic { knows(i) && leads(i) && !whole(i) && finds(i, ALL) -> kept[i] = seen[i].names }
    :: atomic { knows(i) && leads(i) && !whole(i) && !finds(i, ALL) && missed[i] != seen[i].names -> miss(i) }
    :: atomic { knows(i) && leads(i) && !whole(i) && !finds(i, ALL) && missed[i] == seen[i].names ->
        assert(lost || !current[i]);
        copy(plan[i], seen[i]); plan[i].runs = false; plan[i].round = 0; plan[i].names = NONE; write(i)
      }
    :: atomic { knows(i) && leads(i) && whole(i) && !seen[i].runs -> copy(plan[i], seen[i]); form(i) }
    :: atomic { knows(i) && leads(i) && whole(i) && seen[i].runs && changes ->
        changes--; copy(plan[i], seen[i]);
        if
        :: begin(i)
        :: form(i)
        fi
      }
    :: atomic { knows(i) && leads(i) && whole(i) && seen[i].names && is_missed(seen[i].names) ->
        copy(plan[i], seen[i]); begin(i)
      }
    /* All pages are there before the state that names them. */
    :: atomic { lives(i) && files[i] && next[i] < PAGES ->
        stored[files[i]] = stored[files[i]] | (1 << next[i]); next[i] = next[i] + 1
      }
    :: atomic { lives(i) && files[i] && next[i] == PAGES -> write(i) }
    :: atomic { lives(i) && drops[i] -> stored[drops[i]] = 0; drops[i] = NONE }
    /* Rule 11: its pages are stored anew by who has them; who has not names the ledger that it knows of. */
    :: atomic { idle(i) && !head.there && seen[i].there ->
        current[i] = true; copy(plan[i], seen[i]); plan[i].coordinator = i;
        if
        :: whole(i) && seen[i].names -> begin(i)
        :: else -> write(i)
        fi
      }
    od
}

proctype fate(byte i) {
    do
    :: atomic { faults && lives(i) -> faults--; gave_up = true; crashed[i] = true }
    :: atomic { faults && lives(i) && files[i] -> faults--; gave_up = true; stale[i] = true; end(i) }   /* a request is lost */
    :: atomic { valid[i] -> stands(late[i]) }
    :: atomic { faults && i == 0 && head.there && head.names -> faults--; lost = true;
        if
        :: stored[head.names] = 0
        :: stored[head.names] = stored[head.names] & 1
        fi
      }
    :: atomic { faults && i == 0 && head.there -> faults--; lost = true; head.there = false;
        for (each(k)) { current[k] = false; valid[k] = false }
      }
    od
}

#define is_settled(i) (crashed[i] || (head.there && head.runs && told[i] == head.round))
#if NODES == 2
#define all_settled (is_settled(0) && is_settled(1))
#else
#define all_settled (is_settled(0) && is_settled(1) && is_settled(2))
#endif

active proctype judge() {
    timeout ->
    assert(all_settled);                                                         /* progress */
    for (k : 1 .. LEDGERS - 1) { assert(lost || gave_up || !stored[k] || k == head.names) }   /* nothing is left */
}

init {
    atomic {
        byte i;
        head.there = true; head.coordinator = NOBODY;
        for (each(i)) { read(i) }
        for (each(i)) { run node(i); run fate(i) }
    }
}
