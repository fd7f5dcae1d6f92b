/** Keeps the task for a worker who is at it: renews the lease while there is activity. */

export class LeaseKeeper {
  #timer;
  #active = true;

  /**
   * @param {{id: number}} task
   * @param {import('./api.js').Api} api
   * @param {number} seconds that a lease lasts
   * @param {(text: string) => void} onLost the task was given to somebody else
   */
  constructor(task, api, seconds, onLost) {
    this.#timer = setInterval(
      async () => {
        if (!this.#active) return;
        this.#active = false;
        try {
          await api.post(`/api/tasks/${task.id}/renew`);
        } catch (error) {
          this.#active = true; // once more at the next turn
          if (error.status === 409) {
            this.stop();
            onLost(error.message);
          }
        }
      },
      Math.max(1, seconds / 4) * 1000,
    );
    this.off = new AbortController();
    for (const event of ['keydown', 'pointerdown', 'wheel']) {
      document.addEventListener(event, () => this.touch(), {
        signal: this.off.signal,
        passive: true,
      });
    }
  }

  /** The worker did something. */
  touch() {
    this.#active = true;
  }

  stop() {
    clearInterval(this.#timer);
    this.off.abort();
  }
}
