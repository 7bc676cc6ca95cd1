/** Okabe and Ito's colours, told apart by people with any colour vision. */
export const APART = ['#e69f00', '#56b4e9', '#009e73', '#b8a800', '#0072b2', '#d55e00', '#cc79a7', '#808080'];
