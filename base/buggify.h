/* Places where the code may do, in simulation, something legal that is rare otherwise: a queue that
 * is full early, a checkpoint long before it is due (FoundationDB's BUGGIFY).
 *
 *     if (HF_BUGGIFY(FULL_QUEUE)) return HF_ETOOBUSY;
 *
 * Off unless a simulation in this process has set `buggify_now`; servers never do. It is looked
 * up at run time, and compiled into every build, so that the simulation of any build runs the very
 * code that is shipped and comes to the same digest; in a server a point is the load of one pointer
 * that is always NULL. Not for code that other threads run, nor for what every server must decide
 * alike: the machine. */
#ifndef BASE_BUGGIFY_H
#define BASE_BUGGIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"

/* Every point: HF_BUGGIFY_POINT(NAME, once in so many passages while it is on). */
#define HF_BUGGIFY_POINTS(POINT)                                                                 \
    POINT(FULL_QUEUE, 50)       /* a request is refused for load */                              \
    POINT(EARLY_CHECKPOINT, 20) /* a generation is handed over though it is small */             \
    POINT(SMALL_BATCH, 10)      /* a batch is closed though it has room */                       \
    POINT(SLOW_FLUSH, 5)        /* a flush takes a hundred times as long */                      \
    POINT(LATE_PASS, 200)       /* a server's pass comes late, though nothing stalls */          \
    POINT(FULL_LOG, 50)         /* a batch does not go into the log yet */                       \
    POINT(FULL_PENDING, 100)    /* no room for another unanswered request */                     \
    POINT(FULL_READS, 50)       /* nor for another read that waits */                            \
    POINT(FULL_OUTPUT, 5000)    /* a connection has too much that it does not read */            \
    POINT(NO_ROOM, 50)          /* a follower takes no entries: its log has no room */           \
    POINT(LOST_MESSAGE, 500)    /* a message to another server is lost: its queue is full */     \
    POINT(SLOW_APPLY, 20)       /* applying waits for the flush that is under way */             \
    POINT(ON_DEADLINE, 1)       /* a batch waits for a deadline that is near: stamped with it */ \
    POINT(SWEEP_WITH_OPS, 3)    /* an entry with ops sweeps, though nothing is overdue */        \
    POINT(FULL_POLLS, 20)       /* no room for another POLL that waits */

#define HF_BUGGIFY_NAME(name, chance) BUGGIFY_##name,
enum buggify_point { HF_BUGGIFY_POINTS(HF_BUGGIFY_NAME) BUGGIFY_POINT_COUNT };
#undef HF_BUGGIFY_NAME

struct buggify {
    struct prng random;                  /**< decides, passage by passage */
    uint64_t mask;                       /**< bit `point`: it is on in this run */
    uint64_t count[BUGGIFY_POINT_COUNT]; /**< how often each one said yes */
};

/** The simulation's; NULL = off. */
extern struct buggify *buggify_now;

/** A point's name, for people. Static. */
const char *buggify_name(enum buggify_point point);

/** Decide; only while one is set. */
bool buggify_draw(enum buggify_point point);

#define HF_BUGGIFY(point) (buggify_now != NULL && buggify_draw(BUGGIFY_##point))

#endif
