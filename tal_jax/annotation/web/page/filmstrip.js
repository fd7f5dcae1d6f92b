/**
 * Small pictures of the video along the timeline. They are taken from a second, hidden video at
 * whole steps of the zoom, one after another, and kept; until one is there its nearest neighbour
 * stands in for it.
 */

import {h} from './dom.js';
import {clampFrame, middle} from './frames.js';
import {share} from './view.js';

const WIDTH = 84; // pixels of a picture
const MOST = 240; // pictures kept
const PATIENCE = 3000; // milliseconds for one

export class Filmstrip {
  /** @type {Map<number, HTMLCanvasElement>} */
  #pictures = new Map();
  #wanted = [];
  #busy = false;
  #closed = false;
  #sheet = h('canvas');

  /** @param {import('./timeline.js').Timeline} timeline its `strip` is drawn on */
  constructor(timeline, url) {
    this.timeline = timeline;
    timeline.strip.append(this.#sheet);
    this.video = h('video', {src: url, preload: 'auto', playsinline: true});
    this.video.muted = true;
    timeline.onView = () => this.draw();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(timeline.strip);
    this.video.addEventListener('loadeddata', () => this.draw());
  }

  draw() {
    const {strip, view} = this.timeline;
    const {width, height} = strip.getBoundingClientRect();
    if (!width || this.#closed) return;
    // Steps are powers of two of a frame: zooming by little asks for no new pictures.
    const step = 2 ** Math.ceil(Math.log2(Math.max(1, (WIDTH / width) * (view.to - view.from))));
    const sharp = window.devicePixelRatio || 1;
    Object.assign(this.#sheet, {
      width: Math.round(width * sharp),
      height: Math.round(height * sharp),
    });
    const context = this.#sheet.getContext('2d');
    context.scale(sharp, sharp);
    const frames = [];
    for (let i = Math.floor(view.from / step); i * step < view.to; i++) {
      const frame = clampFrame(this.timeline.clip, i * step + Math.floor(step / 2));
      const left = width * share(view, i * step);
      const tile = width * share(view, (i + 1) * step) - left - 1; // a line between two
      const picture = this.#pictures.get(frame) ?? this.#nearest(frame);
      if (picture) cover(context, picture, left, tile, height);
      frames.push(frame);
    }
    this.#wanted = frames.filter((frame) => !this.#pictures.has(frame));
    strip.dataset.missing = String(this.#wanted.length);
    this.#work();
  }

  close() {
    this.#closed = true;
    this.observer.disconnect();
    this.video.removeAttribute('src');
    this.video.load();
  }

  #nearest(frame) {
    const known = [...this.#pictures.keys()];
    return known.length
      ? this.#pictures.get(
          known.reduce((a, b) => (Math.abs(b - frame) < Math.abs(a - frame) ? b : a)),
        )
      : null;
  }

  async #work() {
    if (this.#busy || this.video.readyState < 2) return;
    this.#busy = true;
    while (this.#wanted.length && !this.#closed) {
      await this.#take(this.#wanted[0]);
      if (this.#pictures.size > MOST) this.#pictures.delete(this.#pictures.keys().next().value);
      this.#wanted.shift();
      if (this.#wanted.length % 4 === 0) this.draw();
    }
    this.#busy = false;
  }

  #take(frame) {
    const {video} = this;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        video.removeEventListener('seeked', done);
        if (!this.#closed && video.videoWidth) {
          const canvas = h('canvas', {
            width: 2 * WIDTH,
            height: Math.round((2 * WIDTH * video.videoHeight) / video.videoWidth),
          });
          canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
          this.#pictures.set(frame, canvas);
        }
        resolve();
      };
      const timer = setTimeout(done, PATIENCE);
      video.addEventListener('seeked', done);
      video.currentTime = middle(this.timeline.clip, frame);
    });
  }
}

/** Fills a tile with the middle of a picture. */
function cover(context, picture, left, width, height) {
  const scale = Math.max(width / picture.width, height / picture.height);
  const [w, h] = [width / scale, height / scale];
  context.drawImage(
    picture,
    (picture.width - w) / 2,
    (picture.height - h) / 2,
    w,
    h,
    left,
    0,
    width,
    height,
  );
}
