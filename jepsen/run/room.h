/* Rooms with so many seats, as what a semaphore guards would be: who is inside, with how many
 * seats, and until when it may be, by its own belief. A room knows no tokens' order (permits do not
 * fence), so that it can refuse nobody; it tells who comes in how full it is then, which holders'
 * beliefs never make more than it has. A file a room, locked for each access; processes share them.
 * Each access ends with one write that never crosses a page: who is killed within leaves it done or
 * undone. Who is killed inside leaves its belief behind, which is over by itself. */
#ifndef JEPSEN_RUN_ROOM_H
#define JEPSEN_RUN_ROOM_H

#include <stdint.h>

enum { ROOM_PLACES = 128 }; /* people inside at a time, at most (asserted) */

/** Come in, or be inside until later. \param path  the room's file, made if absent.
 * \param token  whose, not 0. \param seats  1 or more. \param until_ns  CLOCK_MONOTONIC: it has
 * gone by then. \return seats that are taken now, with these; 0: it is later than that already, and
 * nobody came in. */
uint64_t room_enter(const char *path, uint64_t token, uint64_t seats, uint64_t until_ns);

/** Go; nothing happens if it is not inside. */
void room_leave(const char *path, uint64_t token);

#endif
