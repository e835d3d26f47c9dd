#define RULE d_step

/* What users do and what is observed: bounded and of no interest where all is tried, as recorded where it is not. */

#ifndef REPLAY

#define going true
#define can_act(i) (condition[i] == up)
#define can_serve(i) (condition[i] == up)
#define can_ask(i) (condition[i] == up && phase != closed && \
                    ((ticket[i] == 0 && is_next_to_come(i)) || (inside[i] && told[i] && called[i] && ticket[i] < ASKS) || \
                     (faults && ticket[i] && ticket[i] < ASKS && (!busy[i] || (inside[i] && told[i] && !called[i])))))
/* Whoever comes first is called 0, and so on: names make no difference. */
#define is_next_to_come(i) (i == 0 || ticket[(i + NODES - 1) % NODES])
#define has_had_enough(i) (inside[i] && told[i] && called[i] && ticket[i] >= ASKS)
#define can_quit(i) (condition[i] == up && busy[i] && intent[i] == join && (faults || has_had_enough(i)))
#define can_close(i) (condition[i] == up && busy[i] && faults)
#define can_stop(i) (condition[i] == up)
#define can_go(i) (condition[i] == paused)

#define IS_REPLAY 0

inline observe_ask(i) {
    faults = (ticket[i] && !called[i] -> faults - 1 : faults)
}
inline choose_intent(i) {
    if
    :: has_had_enough(i) -> intent[i] = leave
    :: !has_had_enough(i) ->
        faults--;
        if
        :: intent[i] = leave
        :: !inside[i] -> intent[i] = cancel
        :: inside[i] && told[i] -> intent[i] = done
        fi
    fi
}
inline observe_return(i) { intent[i] = (intent[i] == cancel -> join : intent[i]) }
inline observe_close(i) { faults-- }
inline observe_departure(i, why) { skip }
inline observe_closing() { skip }
inline observe_round() { skip }
inline observe_claim(i) { skip }
inline observe_stop(i) { skip }
inline observe_go(i) { skip }
inline prepare() { skip }
#define is_told_gone(i) true
#define is_told_in(i) true
#define is_told_rank(i, r) true

#else

/* A recorded run. Given of it is how often each user asks, where that was not recorded, who may have quit, or stopped,
 * and of which kinds of events all were recorded. */
#define ASK 0
#define QUIT 1
#define STOP 2
#define GO 3
#define CLAIM 4
#define DEPART 5
#define ROUND 6
#define CLOSED 7
#define RETURN 8
#define KINDS 9
#define UNKNOWN 255
#define OUT 254

#define GIVEN (NODES + 2 + KINDS)
#define limit(i) given[i]
#define quitters given[NODES]
#define stoppers given[NODES + 1]
#define watched(a) given[NODES + 2 + a]
#define IS_REPLAY 1
#include "recorded.pml"

#define rank_of(i) of_each[at * NODES + i]
#define can_act(i) (condition[i] == up && !wrong)
#define can_serve(i) (!wrong)     /* what a node sent before it stopped arrives after that */
#define can_ask(i) (can_act(i) && (watched(ASK) -> is_next(ASK, i) : \
                                   ticket[i] < limit(i) && (!busy[i] || (inside[i] && told[i]))))
#define can_quit(i) (can_act(i) && busy[i] && (watched(QUIT) -> is_next(QUIT, i) : IN(quitters, i) && intent[i] == join))
#define can_close(i) (going && busy[i] && is_next(CLOSED, 0))
#define can_stop(i) (can_act(i) && (watched(STOP) -> is_next(STOP, i) : IN(stoppers, i)))
#define can_go(i) (going && condition[i] == paused && (watched(GO) -> is_next(GO, i) : true))
#define is_told_gone(i) is_next(DEPART, i)
#define is_told_in(i) (!is_next(ROUND, 0) || rank_of(i) != OUT)
#define is_told_rank(i, r) (!is_next(ROUND, 0) || rank_of(i) == r || rank_of(i) == UNKNOWN)

inline observe_ask(i) { expect(ASK, i, true) }
inline choose_intent(i) {
    if
    :: watched(QUIT) ->
        if
        :: what[at] == 1 && !(inside[i] && told[i]) && intent[i] == join -> intent[i] = cancel
        :: what[at] == 2 -> intent[i] = leave
        :: what[at] == 3 -> intent[i] = done
        :: else
        fi;
        go_on()
    :: !watched(QUIT) ->
        faults--;
        if
        :: intent[i] = leave
        :: !inside[i] -> intent[i] = cancel
        :: intent[i] = done
        fi
    fi
}
inline observe_return(i) {
    intent[i] = (intent[i] == cancel -> join : intent[i]);
    if
    :: intent[i] == join -> expect(RETURN, i, which[at] == my_round[i] && what[at] == my_rank[i] && many[at] == my_size[i])
    :: else
    fi
}
inline observe_close(i) { skip }
inline observe_departure(i, why) {
    expect(DEPART, i, what[at] == 0 || what[at] == (why == left -> 1 : (why == lost -> 2 : 3)))
}
inline observe_closing() { expect(CLOSED, 0, true) }
inline observe_round() {
    b = which[at] == round && many[at] == size;
    for (each(k)) {
        b = b && (rank_of(k) == UNKNOWN ||
                  rank_of(k) == (seat[k] -> rank[k] : OUT))
    }
    expect(ROUND, 0, b)
}
inline observe_claim(i) { expect(CLAIM, i, true) }
inline observe_stop(i) { expect(STOP, i, true) }
inline observe_go(i) { expect(GO, i, true) }
inline prepare() {
    c_code { sight(); };
    faults = 200
}

#endif
