/* Threads beside a loop or beside an application: they take no signals, which are the other's. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/** Start a thread that blocks every signal. \param thread  Out: to be joined by the caller.
 * \return false: there is none, the system has no room for it. */
bool thread_start(pthread_t *thread, void *(*run)(void *data), void *data);

#endif
