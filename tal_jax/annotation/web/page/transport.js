/** The row under the video: stepping, speed, loop, sound, and where one is. */

import {commandButton, h, keyHint, say, set, setIcon} from './dom.js';
import {timecode} from './frames.js';
import {ariaOf} from './keys.js';
import {RATES} from './player.js';
import {prefer, preferences} from './preferences.js';

export class Transport {
  /**
   * @param {import('./frames.js').Clip} clip
   * @param {boolean} sound whether there is any
   * @param {object} on
   * @param {(id: string) => void} on.run runs a command
   * @param {(rate: number) => void} on.rate
   * @param {(typed: string) => boolean} on.time somebody typed where to go; whether it is a time
   */
  constructor(clip, sound, {run, rate: onRate, time: onTime}) {
    this.clip = clip;
    const {step: large} = preferences();
    this.many = h(
      'select',
      {
        class: 'select',
        'aria-label': 'Frames of a large step',
        title: 'Frames of a large step',
        on: {
          change: () => {
            prefer({step: this.large});
            this.#nameSteps();
          },
        },
      },
      ...[...new Set([5, 10, 30, Math.max(2, Math.round(clip.fps)), large])]
        .sort((a, b) => a - b)
        .map((n) => h('option', {value: n, text: `step ${n}`})),
    );
    this.many.value = String(large);
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
    this.time = h('span');
    this.frame = h('span', {class: 'frame', 'aria-hidden': 'true'});
    this.goTo = h('input', {
      class: 'input',
      autocomplete: 'off',
      'aria-label': 'Go to a time: seconds, m:ss or h:mm:ss',
      title: 'Type a time to go there: seconds, m:ss or h:mm:ss (G)',
      'aria-keyshortcuts': ariaOf('goTo'),
      on: {
        focus: () => {
          this.goTo.value = this.time.textContent;
          this.goTo.select();
        },
        blur: () => set(this.goTo, 'aria-invalid', null),
      },
    });
    const search = (event) => {
      event.preventDefault();
      if (!onTime(this.goTo.value)) set(this.goTo, 'aria-invalid', 'true');
    };
    this.element = h(
      'div',
      {class: 'transport', role: 'toolbar', 'aria-label': 'Video controls'},
      h(
        'form',
        {class: 'readout', on: {submit: search}},
        h('span', {class: 'time', 'aria-hidden': 'true'}, this.time, keyHint('goTo')),
        this.frame,
        this.goTo,
      ),
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
        sound ? this.sound : null,
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
      set(button, 'aria-label', `${sign}${this.large}: ${this.large} frames ${way}`);
      set(button, 'title', `${this.large} frames ${way}`);
    }
    set(this.steps.back, 'aria-label', '\u22121: one frame back');
    set(this.steps.forward, 'aria-label', '+1: one frame on');
  }
}
