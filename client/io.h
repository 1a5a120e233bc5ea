/* The I/O thread: one libuv loop, one connection, one timer, for one client. */
#ifndef CLIENT_IO_H
#define CLIENT_IO_H

#include "client/shell.h"

/** Start the thread. \retval HF_EIO, HF_ENOMEM nothing was started. */
HF_MUST_USE
int io_start(hf_client *client);

/** Close the connection, end the thread, free. In a forked child only this copy's descriptors go
 * (but libuv's eventfd): its memory is as some other thread left it in the midst of its work. */
void io_stop(hf_client *client, bool forked);

/** The client's lock is held: write what the core has for the connection, unless somebody does;
 * arm the timer; have the thread look if there is something for it. */
void io_follow(struct io *io);

/** Is this its thread? */
bool io_is_own(const struct io *io);

/** Have the thread look whether callbacks are to be run. The client's lock is held. */
void io_wake(struct io *io);

#endif
