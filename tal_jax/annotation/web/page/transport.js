/** The row under the video: stepping, speed, loop, sound, and where one is. */

import {commandButton, h, keyHint, say, set, setIcon} from './dom.js';
import {timecode} from './frames.js';
import {RATES} from './player.js';

export class Transport {
  /**
   * @param {import('./frames.js').Clip} clip
   * @param {(id: string) => void} run runs a command
   * @param {(rate: number) => void} onRate
   */
  constructor(clip, run, onRate) {
    this.clip = clip;
    this.many = h(
      'select',
      {
        class: 'select',
        'aria-label': 'Frames of a large step',
        title: 'Frames of a large step',
        on: {change: () => this.#nameSteps()},
      },
      ...[...new Set([5, 10, 30, Math.max(2, Math.round(clip.fps))])]
        .sort((a, b) => a - b)
        .map((n) => h('option', {value: n, text: `step ${n}`})),
    );
    this.many.value = '10';
    const step = (id, label) => commandButton(id, run, {label, kind: 'step'});
    this.steps = {
      backMany: step('backMany', ''),
      forwardMany: step('forwardMany', ''),
      back: step('back', '\u22121'),
      forward: step('forward', '+1'),
    };
    for (const id of ['backMany', 'forwardMany']) {
      this.steps[id].prepend(h('span', {class: 'amount'}));
    }
    this.play = commandButton('play', run, {name: 'Play', drawing: 'play', kind: 'play'});
    this.rate = h(
      'select',
      {
        class: 'select',
        'aria-label': 'Speed',
        title: 'Speed (, slower; . faster; 1 normal)',
        on: {change: () => onRate(Number(this.rate.value))},
      },
      ...RATES.map((rate) => h('option', {value: rate, text: `${rate}\u00d7`})),
    );
    this.loop = commandButton('loop', run, {label: 'Loop', drawing: 'loop'});
    this.sound = commandButton('mute', run, {name: 'Sound', drawing: 'sound', hint: false});
    this.time = h('span', {class: 'time'});
    this.frame = h('span', {class: 'frame'});
    this.element = h(
      'div',
      {class: 'transport', role: 'toolbar', 'aria-label': 'Video controls'},
      h('div', {class: 'readout', 'aria-hidden': 'true'}, this.time, this.frame),
      h(
        'div',
        {class: 'group'},
        this.steps.backMany,
        this.steps.back,
        this.play,
        this.steps.forward,
        this.steps.forwardMany,
        this.many,
      ),
      h(
        'div',
        {class: 'group'},
        h('span', {class: 'speed'}, keyHint('slower'), this.rate, keyHint('faster')),
        this.loop,
        this.sound,
      ),
    );
    this.#nameSteps();
  }

  /** @returns {number} frames of a large step */
  get large() {
    return Number(this.many.value);
  }

  /** @param {import('./player.js').Player} player */
  update(player, looping) {
    const {playing, video} = player;
    setIcon(this.play, playing ? 'pause' : 'play');
    set(this.play, 'aria-label', playing ? 'Pause' : 'Play');
    this.rate.value = String(video.playbackRate);
    set(this.loop, 'aria-pressed', looping);
    setIcon(this.sound, video.muted ? 'mute' : 'sound');
    set(this.sound, 'aria-label', video.muted ? 'Sound is off' : 'Sound is on');
    this.moveTo(player.frame);
  }

  moveTo(frame) {
    say(this.time, timecode(frame / this.clip.fps));
    say(this.frame, `frame ${frame} / ${this.clip.count - 1}`);
  }

  #nameSteps() {
    for (const [id, sign, way] of [
      ['backMany', '\u2212', 'back'],
      ['forwardMany', '+', 'on'],
    ]) {
      const button = this.steps[id];
      say(button.querySelector('.amount'), sign + this.large);
      set(button, 'aria-label', `${this.large} frames ${way}`);
      set(button, 'title', `${this.large} frames ${way}`);
    }
    set(this.steps.back, 'aria-label', 'One frame back');
    set(this.steps.forward, 'aria-label', 'One frame on');
  }
}
