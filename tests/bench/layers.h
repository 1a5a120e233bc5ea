/* Layers whose cost is counted in instructions. A layer makes what it needs, does its work `count`
 * times, and takes down what it made; only the work is counted (layers.c). */
#ifndef TESTS_BENCH_LAYERS_H
#define TESTS_BENCH_LAYERS_H

struct layer {
    const char *name;                          /**< "room.what" */
    void *(*make)(void);                       /**< never NULL; ends the program on failure */
    void (*work)(void *state, unsigned count); /**< that many times */
    void (*take_down)(void *state);            /**< frees it */
};

/** Each ends with a layer without a name. */
extern const struct layer layers_protocol[];
extern const struct layer layers_store[];
extern const struct layer layers_machine[];
extern const struct layer layers_log[];

#endif
