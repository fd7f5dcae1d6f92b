/**
 * A video by frames. Stepping is exact: it seeks to the middle of a frame and waits until
 * requestVideoFrameCallback says which frame is on the screen; a second step meanwhile replaces
 * the target, so that a key held down does not pile up seeks.
 *
 * While a video plays, that callback may come when the next frame is on the screen already. So a
 * video that stops goes to the frame that was named last: what is named is what is shown.
 */

import {clampFrame, frameAt, middle, shownFrame} from './frames.js';

export const RATES = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4];
const NO_FRAME = 250; // milliseconds after `seeked` without a new frame: it was on the screen already
const TRIES = 3; // seeks for one frame

export class Player {
  /** The frame on the screen. */
  frame = 0;
  /** @type {{start: number, end: number} | null} boundaries that playing stays between */
  loop = null;
  #clip;
  #on;
  #target = null;
  #seeking = null;
  #turning = null; // timer of the loop's return
  #off = new AbortController();

  /**
   * @param {HTMLVideoElement} video
   * @param {import('./frames.js').Clip} clip
   * @param {object} on
   * @param {(frame: number) => void} on.frame another frame is on the screen
   * @param {() => void} on.state playing, rate, sound or readiness changed
   */
  constructor(video, clip, on) {
    this.video = video;
    this.#clip = clip;
    this.#on = on;
    for (const event of [
      'play',
      'pause',
      'ratechange',
      'volumechange',
      'waiting',
      'canplay',
      'loadeddata',
      'error',
    ]) {
      this.#listen(video, event, () => on.state());
    }
    this.#listen(video, 'pause', () => this.#settle());
    this.#listen(video, 'ended', () => {
      if (this.loop) this.seek(this.loop.start).then(() => this.play());
    });
    // No frame of a hidden page is told of, and nobody sees one.
    this.#listen(document, 'visibilitychange', () => {
      if (document.hidden) video.pause();
    });
    this.#watch();
  }

  get playing() {
    return !this.video.paused && !this.video.ended;
  }

  /** Where it is or is on its way to. */
  get aim() {
    return this.#target ?? this.frame;
  }

  /** Resolves once a frame is on the screen: the one asked for last. */
  seek(frame) {
    clearTimeout(this.#turning);
    this.#target = clampFrame(this.#clip, frame);
    this.#seeking ??= this.#chase().finally(() => {
      this.#seeking = null;
    });
    return this.#seeking;
  }

  /** Pauses and goes some frames on (or back). */
  step(frames) {
    this.video.pause();
    return this.seek(this.aim + frames);
  }

  /** Plays on; from the last frame, from the start again. */
  async play() {
    const {loop, aim} = this;
    const [first, last] = loop ? [loop.start, loop.end - 1] : [0, this.#clip.count - 1];
    if (aim < first || aim >= last) await this.seek(first);
    // Refused if the page was not touched yet, broken off by a pause: the button tells both.
    await this.video.play().catch(() => this.#on.state());
  }

  toggle() {
    if (this.playing) this.video.pause();
    else this.play();
  }

  /** @param {1 | -1 | 0} direction faster, slower, normal */
  rate(direction) {
    const at = RATES.indexOf(this.video.playbackRate);
    this.video.playbackRate =
      direction === 0 || at < 0
        ? 1
        : RATES[Math.min(Math.max(at + direction, 0), RATES.length - 1)];
  }

  /** Lets go of the video. */
  close() {
    clearTimeout(this.#turning);
    this.#off.abort();
    this.#on = {frame() {}, state() {}};
    this.video.pause();
    this.video.removeAttribute('src');
    this.video.load();
  }

  #listen(target, event, action) {
    target.addEventListener(event, action, {signal: this.#off.signal});
  }

  /** The video stopped: shows the frame that is named, unless it is on its way to another. */
  #settle() {
    const {ended, currentTime} = this.video;
    if (this.#target !== null || (ended && this.loop)) return;
    if (ended) this.seek(this.#clip.count - 1);
    else this.seek(document.hidden ? frameAt(this.#clip, currentTime) : this.frame);
  }

  async #chase() {
    while (this.#target !== null) {
      const [wanted, moving] = [this.#target, this.playing];
      this.#present(await this.#show(wanted));
      // One that was stopped meanwhile may have gone on from there: once more, now that it rests.
      const again = moving && !this.playing;
      if (this.#target === wanted && !again) this.#target = null;
    }
  }

  #show(frame) {
    const {video} = this;
    return new Promise((resolve) => {
      let over = false;
      let timer = 0;
      let left = TRIES;
      const done = (shown) => {
        over = true;
        clearTimeout(timer);
        video.removeEventListener('seeked', onSeeked);
        video.removeEventListener('error', onError);
        resolve(shown);
      };
      const go = () => {
        left -= 1;
        video.currentTime = middle(this.#clip, frame);
      };
      const onSeeked = () => {
        clearTimeout(timer);
        if (video.seeking) return; // somewhere else by now
        timer = setTimeout(() => {
          const at = frameAt(this.#clip, video.currentTime);
          if (at === frame || left === 0 || this.playing) done(at);
          else go(); // a pause in the middle of a seek can lead astray
        }, NO_FRAME);
      };
      const onError = () => done(this.frame);
      const onFrame = (_, {mediaTime}) => {
        if (over) return;
        const shown = shownFrame(this.#clip, mediaTime);
        // A frame from before the seek can still come first.
        if (shown === frame || (this.playing && !video.seeking)) done(shown);
        else video.requestVideoFrameCallback(onFrame);
      };
      video.addEventListener('seeked', onSeeked);
      video.addEventListener('error', onError);
      video.requestVideoFrameCallback(onFrame);
      if (video.error) onError();
      else go();
    });
  }

  #watch() {
    this.video.requestVideoFrameCallback((_, {mediaTime}) => {
      if (!this.#seeking) this.#present(shownFrame(this.#clip, mediaTime));
      this.#watch();
    });
  }

  #present(frame) {
    if (frame !== this.frame) {
      this.frame = frame;
      this.#on.frame(frame);
    }
    clearTimeout(this.#turning);
    const {loop} = this;
    if (loop && this.playing && this.#seeking === null && frame >= loop.end - 1) {
      // The last frame stays for its time, then playing goes back to the start.
      this.#turning = setTimeout(
        () => {
          if (this.loop === loop && this.playing) this.seek(loop.start);
        },
        1000 / this.#clip.fps / this.video.playbackRate,
      );
    }
  }
}
