/* A recorded run: `sight` reads it from the file that $TRACE names, before the first step.
 *
 * Who includes it says how many numbers are GIVEN of the run as a whole, and of which kinds of events all are `watched`.
 */
#define LONGEST 1000

hidden byte given[GIVEN];
hidden short length;
hidden byte kind[LONGEST], who[LONGEST], what[LONGEST], which[LONGEST], many[LONGEST];
hidden byte of_each[LONGEST * NODES];
short at;                         /* so far the run is explained */
bool wrong;                       /* what was recorded is something else */

c_code { \#include "sight.h" };

#define going (!wrong)
#define is_next(a, i) (at < length && kind[at] == a && who[at] == i)

inline go_on() { at++; c_code { note(now.at); } }

inline expect(a, i, matches) {
    if
    :: !watched(a)
    :: watched(a) && is_next(a, i) && (matches) -> go_on()
    :: watched(a) && !(is_next(a, i) && (matches)) -> wrong = true
    fi
}

/* It stops where all is explained, which is what was asked for. */
active proctype reader() {
    atomic { at == length && !wrong -> assert(false) }
}
