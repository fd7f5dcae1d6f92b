/**
 * Sends drafts to the server as they change: one request at a time, the latest text only, with a
 * rising revision, again and again while the server is away.
 *
 * @typedef {'saved' | 'saving' | 'unsaved' | 'lost'} SaveState  unsaved: the server is away and
 *   will be tried again; lost: it refuses, and nothing more is sent
 */

import {delay} from './retry.js';

export class Saver {
  #send;
  #options;
  #body = null; // not yet acknowledged
  #timer = null;
  #busy = false;
  #failures = 0;
  #waiting = []; // of flush()

  /**
   * @param {number} revision of the draft that the page started from
   * @param {(saved: import('./draft.js').Saved) => Promise<boolean>} send resolves when the server
   *   has it; false if it kept a later one instead
   * @param {object} options
   * @param {(state: SaveState, error: Error | null) => void} options.onState
   * @param {number} [options.quiet] milliseconds without a change before it is sent
   * @param {(action: () => void, milliseconds: number) => any} [options.later]
   */
  constructor(
    revision,
    send,
    {
      onState,
      quiet = 500,
      later = setTimeout.bind(globalThis),
      never = clearTimeout.bind(globalThis),
      random = Math.random,
    },
  ) {
    this.revision = revision;
    /** @type {SaveState} */
    this.state = 'saved';
    this.error = null;
    this.#send = send;
    this.#options = {onState, quiet, later, never, random};
  }

  /** @param {string} body the draft as it is now @returns {number} its revision */
  change(body) {
    if (this.state === 'lost') return this.revision;
    this.#body = body;
    this.revision += 1;
    if (this.state === 'saved') this.#enter('saving');
    if (!this.#busy && this.#failures === 0) this.#in(this.#options.quiet);
    return this.revision;
  }

  /** Tries at once. Resolves when all is on the server; rejects if it refuses. */
  flush() {
    if (this.state === 'lost') return Promise.reject(this.error);
    if (this.#body === null && !this.#busy) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({resolve, reject});
      if (!this.#busy) this.#in(0);
    });
  }

  /** What the server does not have yet. @returns {import('./draft.js').Saved | null} */
  get unsent() {
    return this.#body === null ? null : {revision: this.revision, body: this.#body};
  }

  /** Nothing more is sent: the task is done with. */
  stop() {
    this.#options.never(this.#timer);
    this.#body = null;
    this.#fail(new Error('this task is done with'));
    this.state = 'lost';
  }

  #in(milliseconds) {
    this.#options.never(this.#timer);
    this.#timer = this.#options.later(() => this.#attempt(), milliseconds);
  }

  async #attempt() {
    if (this.#busy || this.#body === null) return;
    const {revision} = this;
    const body = this.#body;
    this.#busy = true;
    try {
      const kept = await this.#send({revision, body});
      if (this.state === 'lost') return;
      if (!kept) {
        throw Object.assign(new Error('this task is being worked on in another window'), {
          status: 409,
        });
      }
      this.#failures = 0;
      if (this.revision === revision) this.#body = null;
      this.#busy = false;
      if (this.#body !== null) return this.#in(this.#waiting.length ? 0 : this.#options.quiet);
      this.#enter('saved');
      for (const {resolve} of this.#waiting.splice(0)) resolve();
    } catch (error) {
      this.#busy = false;
      if (this.state === 'lost') return;
      if (!error.retryable) {
        this.#enter('lost', error);
        this.#fail(error);
        return;
      }
      this.#enter('unsaved', error);
      this.#in(delay(this.#failures++, this.#options.random()));
    }
  }

  #fail(error) {
    for (const {reject} of this.#waiting.splice(0)) reject(error);
  }

  #enter(state, error = null) {
    this.state = state;
    this.error = error;
    this.#options.onState(state, error);
  }
}
