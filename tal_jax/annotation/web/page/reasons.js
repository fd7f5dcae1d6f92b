/** The short lists that annotators choose a reason from; the server knows the same ones. */

/** Why nobody can judge a video. */
export const UNUSABLE = [
  'it does not play',
  'it is damaged',
  'too dark or too blurred to judge',
  'it is not what it should be',
  'another reason',
];

/** Why somebody gives a video back; it need not be said. */
export const SKIPPED = [
  '',
  'it does not play here',
  'it takes too long',
  'it is unclear what to mark',
  'I do not want to watch it',
  'another reason',
];
