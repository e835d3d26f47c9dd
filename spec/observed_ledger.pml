/* What befalls a ledger and those who need it: bounded where all is tried, as recorded where it is not. */

#ifndef REPLAY

#define LEDGERS 12
#define IS_REPLAY 0
#define going true
#define stores(i) true
#define stands_next(i) true
#define has_lost(i) true
#define is_stored(i) true
#define is_dropped(i) true
#define is_answered(i, pages, found) true
#define page_of(i) (1 << ((i) % PAGES))

inline go_on() { skip }
inline befall() { faults-- }
inline fail() { faults--; gave_up = true }
inline change() { changes-- }
inline choose_ledger(i) {
    assert(ledgers < LEDGERS);
    files[i] = ledgers; ledgers = ledgers + 1
}
inline observe_state(new, i) { skip }
inline prepare() { skip }

#else

/* A recorded run. Given of it is on which page each node is; each event says which ledger a node stores next. A state
 * that stands says which ledger it names, which one was the first of the round that runs, and who coordinates. */
#define STORE 0
#define STATE 1
#define LOOK 2
#define DROP 3
#define RETURN 4
#define LOSS 5
#define OBLIVION 6
#define GIVEN NODES
#define watched(a) true
#include "recorded.pml"

#define LEDGERS 40
#define IS_REPLAY 1
#define stores(i) is_next(STORE, i)
#define stands_next(i) is_next(STATE, i)
#define has_lost(i) (at == length || comes_next(i) != files[i])
#define is_stored(i) (is_next(STORE, i) && what[at] == files[i] && which[at] == next[i])
#define is_dropped(i) (is_next(DROP, i) && what[at] == drops[i])
#define is_answered(i, pages, found) (is_next(LOOK, i) && what[at] == seen[i].names && which[at] == (pages) && \
                                      many[at] == (found))
#define page_of(i) (1 << given[i])
#define comes_next(i) of_each[at * NODES + i]

bool used[LEDGERS], stood[LEDGERS];
byte returned[NODES];

inline befall() { skip }
inline fail() { skip }
inline change() { skip }
inline choose_ledger(i) {
    if
    :: at < length && comes_next(i) && !used[comes_next(i)] -> files[i] = comes_next(i); used[files[i]] = true
    :: else -> wrong = true
    fi
}
/* Who coordinates may name another one with what it decides. */
inline observe_state(new, i) {
    j = (head.coordinator == i && is_next(STATE, i) -> many[at] : new.coordinator);
    b = what[at] == new.names && many[at] == j && new.runs == (which[at] > 0) &&
        (!new.runs || (which[at] == new.names && !stood[new.names] -> new.round != head.round
                                                                   : new.round == says[which[at]]));
    expect(STATE, i, b);
    stood[new.names] = true;
    new.coordinator = j
}
inline prepare() { c_code { sight(); } }

#endif
