/* What the contract says of a timer's life, written down a second time, plainly: an array, no rows,
 * no deadlines, no queues. The random test does the same to the machine and compares. */
#ifndef TESTS_UNIT_MACHINE_TIMER_MODEL_H
#define TESTS_UNIT_MACHINE_TIMER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum { MODEL_TIMERS = 6, MODEL_GROUPS = 2 };

/** A timer; its key's order is its number's. */
struct model_timer {
    uint64_t state;        /**< enum timer_state */
    uint64_t version;      /**< the highest */
    int group;             /**< of the last SET that took effect */
    uint64_t at_ms;        /**< when the next thing happens to it, or its place in the queue */
    uint64_t fired_ms;     /**< 0 = not */
    uint64_t attempt;      /**< deliveries */
    uint64_t attempts_max; /**< of the SET */
    uint64_t token;        /**< of the last delivery that stands, or was acknowledged */
    uint64_t payload;      /**< a number that its payload is made of */
};

struct model {
    uint64_t now_ms;                         /**< cluster time */
    uint64_t token;                          /**< the last one issued */
    struct model_timer timers[MODEL_TIMERS]; /**< by number */
};

/** A SET. */
struct model_set {
    int key;
    int group;
    uint64_t delay_ms;
    uint64_t version;
    uint64_t attempts_max;
    uint64_t payload;
};

/** All that is due happens. */
void model_pass(struct model *m, uint64_t ms);

/** \param verdict  Out: on HF_OK. \return the status */
int model_set(struct model *m, const struct model_set *set, uint64_t *verdict);
int model_cancel(struct model *m, int key);

/** \param keys  Out: of those delivered, in order; their tokens follow m->token. \return how many
 */
uint32_t model_poll(struct model *m, int group, uint32_t count_max, uint64_t lease_ms,
                    int keys[MODEL_TIMERS]);
int model_ack(struct model *m, int key, uint64_t token);
int model_nack(struct model *m, int key, uint64_t token, uint64_t delay_ms, bool *dead);
int model_requeue(struct model *m, int key);

#endif
