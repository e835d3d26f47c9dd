/* The rules of docs/protocol.md, told once more without the code; README.md here says what is in and what is not.
 *
 * Checked as it is, all that may go wrong is bounded, and every run comes to rest; with REPLAY the acts of the users
 * and what is observed come from a recorded run, and the question is whether these rules allow it.
 */
#ifndef NODES
#define NODES 3
#endif
#ifndef MIN
#define MIN 2
#endif
#ifndef MAX
#define MAX NODES
#endif
#ifndef ASKS
#define ASKS 2      /* how often each user asks */
#endif
#ifndef FAULTS
#define FAULTS 0    /* how often something happens that nothing called for: `faults` says what there is */
#endif

#define NOBODY NODES
#define IN(set, i) ((set >> (i)) & 1)
#define each(i) i : 0 .. NODES - 1
#define leads(i) (coordinator == i && mine[i] && current[i])

mtype:phase = { joining, complete, closed };
mtype:intent = { join, cancel, leave, done };
mtype:condition = { up, paused, crashed };
mtype:reason = { left, lost, finished };

/* The state, which only compare-and-set changes. */
mtype:phase phase = joining;
byte round;
byte size;
byte seat[NODES];              /* the ticket that won a place in the latest round; 0 for none */
byte rank[NODES];
byte gone;                     /* who of the roster is not active any more */
byte excused;                  /* who of them is done */
byte spent[NODES];
byte coordinator = NOBODY;
bool waiting;
bool last_call;

/* One record per node. A term echoed is the present one or not, which is all that matters of it. */
typedef Record { byte ticket; mtype:intent intent; bool echoes };
Record record[NODES];
Record under_way[NODES];       /* a put that is late */

/* What a node knows. It has seen the state that stands, or an older one: then its compare-and-set fails, and it has
 * to read; so of what it has seen before, nothing has to be remembered. */
byte ticket[NODES];
mtype:intent intent[NODES];
bool current[NODES];           /* nobody has written since it read */
bool knows[NODES];             /* it has seen the present term */
bool mine[NODES];              /* the present term is its own */
bool busy[NODES];              /* it has business in the run */
bool inside[NODES];            /* its latest ask was answered by a round, */
byte my_round[NODES];          /* this one, */
byte my_rank[NODES];
byte my_size[NODES];
bool called[NODES];            /* and another one is called for (Rule 8) */
bool told[NODES];              /* its user has heard the answer */

/* What whoever coordinates has listed and not decided by yet. */
typedef Look { bool there; Record shows[NODES]; byte dead, fresh, after, in_truth };
Look look[NODES];

/* The world. */
mtype:condition condition[NODES];
byte silent;                   /* who has been silent for its `dead_after` */
bool news;                     /* something has changed since the last listing */
/* How often there may still be a crash, a pause, a reply to a write that is lost, a put that arrives some time after its
 * sender gave it up, a takeover from a coordinator that lives; a user who asks uncalled, cancels, leaves, is done or
 * closes the run. */
byte faults = FAULTS;

/* What the promises are told from. */
byte used[NODES];              /* the highest ticket that was ever ranked */
byte given_up[NODES];          /* the highest ticket whose withdrawal was confirmed */
byte rounds;                   /* how many were completed */
bool was_closed;

/* Of use within one step alone. */
hidden mtype:phase old_phase = joining;
hidden byte old_gone, old_coordinator, old_rounds, old_spent;
hidden byte old_waiting, old_call, wrote;
#if NODES == 2
#define spent_sum (spent[0] + spent[1])
#else
#define spent_sum (spent[0] + spent[1] + spent[2] + spent[NODES - 1])
#endif
hidden byte j, k, n, r, living, able, again, chosen, taken;
hidden byte next_rank[NODES];
hidden byte b;

#include "observed.pml"

#define is_active(i) (phase == complete && seat[i] && !IN(gone, i))
#define asks(i, j) (look[i].shows[j].ticket > spent[j] && look[i].shows[j].intent == join && \
                    !IN(look[i].dead, j) && !is_active(j))

inline forget(i) {
    look[i].there = false;
    look[i].dead = 0; look[i].fresh = 0; look[i].after = 0; look[i].in_truth = 0;
    for (each(k)) { look[i].shows[k].ticket = 0; look[i].shows[k].intent = join; look[i].shows[k].echoes = false }
}

inline list(i) {
    look[i].there = true; look[i].after = rounds; look[i].in_truth = silent;
    look[i].dead = silent & ~(1 << i);
    for (each(k)) {
        look[i].shows[k].ticket = (k == i -> ticket[k] : record[k].ticket);
        look[i].shows[k].intent = (k == i -> intent[k] : record[k].intent);
        look[i].fresh = look[i].fresh | ((k == i || (record[k].echoes && !IN(silent, k))) << k)
    }
    news = false
}

/* Whoever else has read before will fail to write: the token is another one now (Rule 3). */
inline written_by(i) {
    for (each(j)) {
        current[j] = (j == i);
        if
        :: j != i && look[j].there -> forget(j)
        :: else
        fi
    }
    news = true;
    assert(!was_closed || phase == closed);                                                    /* finality */
    was_closed = phase == closed
}

/* What a node makes of the state that it sees (Rules 1, 8, 9 and 12). */
inline see(i) {
    current[i] = true; knows[i] = true;
    if
    :: !busy[i]
    :: busy[i] && phase == closed -> retire(i)
    :: busy[i] && phase != closed && intent[i] != join && spent[i] >= ticket[i] ->
        given_up[i] = (inside[i] -> given_up[i] : ticket[i]);
        retire(i)
    :: busy[i] && phase != closed && (intent[i] == join || spent[i] < ticket[i]) ->
        if
        :: inside[i] ->
            called[i] = phase == joining || round != my_round[i] || IN(gone, i) || waiting || (gone & ~excused)
        :: !inside[i] && is_active(i) && seat[i] == ticket[i] && (intent[i] == join || intent[i] == cancel) ->
            intent[i] = join;
            inside[i] = true; told[i] = false;
            my_round[i] = round; my_rank[i] = rank[i]; my_size[i] = size;
            called[i] = waiting || (gone & ~excused);
            assert_agreement(i)
        :: !inside[i] && !(is_active(i) && seat[i] == ticket[i]) && spent[i] >= ticket[i] ->
            ticket[i] = spent[i] + 1
        :: else
        fi
    fi
}

inline retire(i) {
    busy[i] = false; inside[i] = false; called[i] = false; told[i] = false;
    my_round[i] = 0; my_rank[i] = 0; my_size[i] = 0;
    intent[i] = join;
    record[i].ticket = 0; record[i].intent = join; record[i].echoes = false
}

/* Agreement: all who return from a round are told one size, and each a rank of its own. */
inline assert_agreement(i) {
    assert(my_rank[i] < my_size[i]);
    for (each(k)) {
        assert(k == i || !inside[k] || my_round[k] != my_round[i] ||
               (my_size[k] == my_size[i] && my_rank[k] != my_rank[i]))
    }
}

inline ask(i) {
    busy[i] = true; inside[i] = false; called[i] = false; told[i] = false;
    my_round[i] = 0; my_rank[i] = 0; my_size[i] = 0;
    ticket[i] = ticket[i] + 1; intent[i] = join
}

/* Rule 7: who is gone stays gone, and for a reason. */
inline depart(i, j, why) {
    gone = gone | (1 << j);
    excused = (why == finished -> excused | (1 << j) : excused);
    spent[j] = (seat[j] > spent[j] -> seat[j] : spent[j]);
    /* Exclusivity: whoever counts as gone asked again or quit, or was silent at a listing of this round. */
    assert(why == lost || ticket[j] > seat[j] || !busy[j] || intent[j] != join);
    assert(why != lost || (IN(look[i].in_truth, j) && look[i].after == rounds));
    observe_departure(j, why)
}

/* Rule 9: a withdrawal as the coordinator found it in a record. */
inline withdraw(i, j) {
    if
    :: phase != closed && look[i].shows[j].ticket > spent[j] && look[i].shows[j].intent != join ->
        if
        :: is_active(j) && seat[j] == look[i].shows[j].ticket ->
            if
            :: look[i].shows[j].intent == cancel
            :: look[i].shows[j].intent == leave -> depart(i, j, left)
            :: look[i].shows[j].intent == done -> depart(i, j, finished)
            fi;
            all_done()
        :: else ->
            spent[j] = look[i].shows[j].ticket
        fi
    :: else
    fi
}

inline all_done() {
    b = true;
    for (each(k)) { b = b && (!seat[k] || IN(excused, k)) }
    if
    :: b -> close_run()
    :: else
    fi
}

inline close_run() {
    phase = closed; waiting = false; last_call = false;
    observe_closing()
}

inline count_asks(i) {
    living = 0; able = 0; again = 0;
    for (each(k)) {
        if
        :: asks(i, k) ->
            living = living + 1;
            able = able + IN(look[i].fresh, k);
            again = again + (IN(look[i].fresh, k) && seat[k])
        :: else
        fi
    }
}

/* The first one that it may be; in a recorded run the one that it was. */
#define pick(it, fits) \
    j = 0; \
    do \
    :: j < NODES && !((it) && (fits)) -> j++ \
    :: else -> break \
    od; \
    if \
    :: j == NODES -> \
        j = 0; \
        do \
        :: !(it) -> j++ \
        :: else -> break \
        od \
    :: else \
    fi

/* One decision: Rules 6, 7, 9 and 17. */
inline decide(i) {
    taken = 0; r = 0;
    do
    :: r < NODES ->
        pick(!IN(taken, j), is_told_gone(j));
        taken = taken | (1 << j); r = r + 1;
        withdraw(i, j);
        if
        :: is_active(j) && look[i].shows[j].ticket > seat[j] -> depart(i, j, left)
        :: is_active(j) && look[i].shows[j].ticket <= seat[j] && IN(look[i].dead, j) -> depart(i, j, lost)
        :: else
        fi
    :: else -> break
    od;
    if
    :: phase == complete ->
        count_asks(i);
        b = false; n = 0;
        for (each(k)) {
            b = b || is_active(k);
            n = n + (seat[k] && (!IN(gone, k) || IN(excused, k)))
        }
        if
        :: b -> waiting = able > 0 && n < MAX
        :: else ->
            phase = joining; round = round + 1;
            gone = 0; excused = 0; waiting = false
        fi
    :: else
    fi;
    if
    :: phase == joining ->
        count_asks(i);
        if
        :: living < MIN -> last_call = false
        :: living >= MIN && able < MIN
        :: living >= MIN && able >= MIN && able < MAX && !last_call -> last_call = true
        :: living >= MIN && able >= MIN && (able >= MAX || last_call || (again && able == living)) ->
            form(i)
        fi
    :: else
    fi
}

/* No survivor stands behind `x` that stood before it. */
#define before(k, x) (seat[k] && IN(chosen, k) && !IN(taken, k) && rank[k] < rank[x])
#if NODES == 2
#define keeps_order(x) (!seat[x] || !(before(0, x) || before(1, x)))
#else
#define keeps_order(x) (!seat[x] || !(before(0, x) || before(1, x) || before(2, x) || before(NODES - 1, x)))
#endif

/* Rule 6: who was in the round before is chosen first. Rule 20: they keep their order, and one of them is rank 0. */
inline form(i) {
    chosen = 0; n = 0;
    do
    :: n < MAX && n < able ->
        pick(asks(i, j) && IN(look[i].fresh, j) && !IN(chosen, j) && (seat[j] || n >= again), is_told_in(j));
        chosen = chosen | (1 << j); n = n + 1
    :: else -> break
    od;
    taken = 0; r = 0;
    do
    :: r < n ->
        pick(IN(chosen, j) && !IN(taken, j) && keeps_order(j) && (r || !again || seat[j]), is_told_rank(j, r));
        taken = taken | (1 << j);
        next_rank[j] = r; r = r + 1
    :: else -> break
    od;
    assert(!was_closed);                                        /* finality */
    assert(n >= MIN && n <= MAX);                               /* bounds */
    for (each(j)) { assert(!seat[j] || spent[j] >= seat[j]) }   /* exclusivity: of the former round nobody is left */
    for (each(j)) {
        if
        :: IN(chosen, j) ->
            assert(look[i].shows[j].ticket > used[j]);                 /* fencing: a ticket wins one place */
            assert(look[i].shows[j].ticket > given_up[j]);             /* and none when it was given up */
            used[j] = look[i].shows[j].ticket;
            seat[j] = look[i].shows[j].ticket; rank[j] = next_rank[j]
        :: else ->
            seat[j] = 0; rank[j] = 0
        fi;
        next_rank[j] = 0
    }
    for (each(j)) {                                             /* uniqueness */
        assert(!seat[j] || rank[j] < n);
        for (each(k)) { assert(j == k || !seat[j] || !seat[k] || rank[j] != rank[k]) }
    }
    size = n; rounds = rounds + 1;
    phase = complete; gone = 0; excused = 0; waiting = false; last_call = false;
    observe_round()
}

#define is_heir(k) (k != i && !IN(look[i].dead, k) && record[k].ticket && look[i].shows[k].ticket && look[i].shows[k].intent == join && \
                    (is_active(k) || IN(look[i].fresh, k)))

/* Rule 10: who leaves appoints somebody who lives. */
inline appoint_heir(i) {
    if
    :: phase != closed && intent[i] != join && spent[i] >= ticket[i] ->
        b = false;
        for (each(k)) { b = b || is_heir(k) }
        if
        :: b -> pick(is_heir(j), true); coordinator = j
        :: else -> coordinator = NOBODY
        fi
    :: else
    fi
}
inline claim(i) {
    if
    :: coordinator == NOBODY || coordinator == i || IN(silent, coordinator)
    :: else -> faults--
    fi;
    for (each(k)) {
        mine[k] = false; knows[k] = false; record[k].echoes = false; under_way[k].echoes = false
    }
    if
    :: coordinator != i -> observe_claim(i)
    :: else
    fi;
    coordinator = i; mine[i] = true
}

/* The answer may get lost: then the write stands, and the node has to read. */
inline reply(i) {
    if
    :: RULE { see(i); skip }
    :: faults && !IS_REPLAY -> faults--; current[i] = false
    fi
}

/* What a decision did to the state; where it did nothing, nothing is written. */
inline before_write() {
    old_phase = phase; old_gone = gone; old_waiting = waiting; old_call = last_call; old_coordinator = coordinator;
    old_rounds = rounds; old_spent = spent_sum
}
inline after_write(i) {
    assert(old_phase != closed || phase == closed);                                           /* finality */
    assert(old_rounds != rounds || phase != complete || (old_gone & gone) == old_gone);
    if
    :: old_phase != phase || old_gone != gone || old_waiting != waiting || old_call != last_call ||
       old_coordinator != coordinator || old_rounds != rounds || old_spent != spent_sum ->
        wrote = true; written_by(i)
    :: else
    fi
}

proctype node(byte i) {
    do
    /* The user. */
    :: atomic { can_ask(i) ->                                                                   /* Rule 1 */
        RULE { observe_ask(i); ask(i); skip }
      }
    :: atomic { can_quit(i) ->                                                                  /* Rule 9 */
        choose_intent(i);
        if
        :: current[i] -> RULE { see(i); skip }
        :: else
        fi
      }
    :: atomic { inside[i] && !told[i] && can_act(i) ->
        RULE { told[i] = true; observe_return(i); skip }
      }
    /* Its thread. */
    :: atomic { can_serve(i) && busy[i] && current[i] && phase != closed &&                     /* Rule 2 */
                (record[i].ticket != ticket[i] || record[i].intent != intent[i] ||
                 (knows[i] && !record[i].echoes && !inside[i]) || (IN(silent, i) && condition[i] == up)) ->
        if
        :: record[i].ticket = ticket[i]; record[i].intent = intent[i]; record[i].echoes = knows[i];
           silent = silent & ~(1 << i);
           news = true
        :: faults && !IS_REPLAY && !under_way[i].ticket ->
           under_way[i].ticket = ticket[i]; under_way[i].intent = intent[i]; under_way[i].echoes = knows[i];
           faults--
        fi
      }
    :: atomic { can_serve(i) && busy[i] && !current[i] ->
        RULE { see(i); skip }
      }
    :: atomic { can_serve(i) && busy[i] && current[i] && phase != closed && !(coordinator == i && mine[i]) &&
                (coordinator == NOBODY || coordinator == i || IN(silent, coordinator) || faults) ->   /* Rule 10 */
        RULE { claim(i); written_by(i); skip };
        reply(i)
      }
    :: atomic { can_serve(i) && busy[i] && leads(i) && news && !look[i].there ->              /* Rule 3 */
        RULE { list(i); skip }
      }
    :: atomic { going && look[i].there && current[i] && phase != closed ->
        RULE {
            before_write();
            decide(i);
            appoint_heir(i);
            after_write(i);
            forget(i);
            skip
        };
        if
        :: wrote -> wrote = false; reply(i)
        :: else
        fi
      }
    :: atomic { going && look[i].there && (phase == closed || !current[i]) ->
        RULE { forget(i); news = true; skip }
      }
    :: atomic { can_close(i) && current[i] && phase != closed ->                                /* Rule 12 */
        RULE { observe_close(i); close_run(); written_by(i); skip };
        reply(i)
      }
    od
}

/* What befalls a node. */
proctype fate(byte i) {
    do
    :: atomic { can_stop(i) && faults ->
        if
        :: condition[i] = crashed
        :: condition[i] = paused
        fi;
        faults--;
        observe_stop(i)
      }
    :: atomic { can_go(i) -> condition[i] = up; observe_go(i) }
    /* Who is not there is silent, too: also a coordinator that left when it was out of the round already. */
    :: atomic { going && (condition[i] != up || (coordinator == i && !busy[i])) && !IN(silent, i) -> silent = silent | (1 << i); news = true }
    :: atomic { going && under_way[i].ticket ->
        record[i].ticket = under_way[i].ticket;
        record[i].intent = under_way[i].intent;
        record[i].echoes = under_way[i].echoes;
        under_way[i].ticket = 0; under_way[i].intent = join; under_way[i].echoes = false;
        news = true
      }
    od
}

/* Progress: when all faults are over, everybody is where it belongs. */
#define asks_now(i) (condition[i] == up && busy[i] && !inside[i])
#if NODES == 2
#define askers (asks_now(0) + asks_now(1))
#define all_settled (is_settled(0) && is_settled(1))
#else
#define askers (asks_now(0) + asks_now(1) + asks_now(2))
#define all_settled (is_settled(0) && is_settled(1) && is_settled(2))
#endif
#define lives(i) (condition[i] == up && busy[i])
#if NODES == 2
#define nobody_lives (!lives(0) && !lives(1))
#else
#define nobody_lives (!lives(0) && !lives(1) && !lives(2))
#endif
#define is_settled(i) ( \
    (condition[i] == crashed && (!is_active(i) || nobody_lives)) || \
    (condition[i] == up && !busy[i]) || \
    (lives(i) && phase != closed && intent[i] == join && !called[i] && \
        ((inside[i] && told[i] && is_active(i) && my_round[i] == round && !(gone & ~excused)) || \
         (!inside[i] && phase == joining && askers < MIN) || \
         (!inside[i] && phase == complete && size >= MAX && !(gone & ~excused)))))

#ifndef REPLAY
active proctype judge() {
    timeout -> assert(all_settled)
}
#ifdef PROGRESS
ltl progress { <>[] all_settled }
#endif
#endif

init {
    atomic {
        byte i;
        for (each(i)) {
            intent[i] = join; condition[i] = up;
            record[i].intent = join; under_way[i].intent = join;
            for (each(k)) { look[i].shows[k].intent = join }
        }
        prepare();
        for (each(i)) { run node(i); run fate(i) }
    }
}
