// The completion scripts. Each calls `pathctl __complete WORDS...`, which decides what can be completed. Where a file is
// expected it answers `:files`, and the shell completes file names by itself.

import { PERSIST_OPTIONS } from "../pathpersist/persist-command.ts";

/** Options of `spscmd`; unlike `pathctl`, it has no completion command to call. */
const SPSCMD_OPTIONS = [
  "-getlun",
  "-getver",
  "-getmode",
  "-getfbmode",
  "-setfbmode",
  "-getmscsmode",
  "-setmscsmode",
  "-getwatcher",
  "-setwatcher",
  "-avail",
  "-notavail",
  "-path",
  "-swap",
  "-priority",
  "-lbmode",
  "-failback",
  "-failbackall",
  "-getlog",
].join(" ");

/** Long options of `pathpersist`; anything else it takes is a unit. */
const PERSIST_LONG = PERSIST_OPTIONS.map(({ long }) => `--${long}`).join(" ");

// Readline splits words at colons, and path numbers have three. So the words are taken from the line itself, and of each
// candidate only the part after the word's last colon is returned.
const BASH = String.raw`# bash completion for pathctl, pathpersist and spscmd; load it with: source <(pathctl completion bash)
_pathmanager_reply() {
  local current=$1 prefix candidate
  shift
  prefix=""
  if [[ $COMP_WORDBREAKS == *:* && $current == *:* ]]; then prefix=${"$"}{current%"${"$"}{current##*:}"}; fi
  COMPREPLY=()
  for candidate in "$@"; do COMPREPLY+=("${"$"}{candidate#"$prefix"}"); done
}
_pathctl() {
  local line=${"$"}{COMP_LINE:0:COMP_POINT} current="" words=() candidates=()
  read -r -a words <<<"$line"
  if [[ $line == *[[:space:]] ]]; then words+=(""); fi
  current=${"$"}{words[-1]}
  mapfile -t candidates < <(pathctl __complete -- "${"$"}{words[@]:1}" 2>/dev/null)
  if [[ ${"$"}{candidates[0]} == :files ]]; then
    COMPREPLY=()
    compopt -o default
    return
  fi
  _pathmanager_reply "$current" "${"$"}{candidates[@]}"
}
_spscmd() {
  local line=${"$"}{COMP_LINE:0:COMP_POINT} current="" words=() candidates=() option
  read -r -a words <<<"$line"
  if [[ $line == *[[:space:]] ]]; then words+=(""); fi
  current=${"$"}{words[-1]}
  option=${"$"}{words[1],,}
  if ((${"$"}{#words[@]} == 2)); then
    mapfile -t candidates < <(compgen -W "${SPSCMD_OPTIONS}" -- "${"$"}{current,,}")
  elif ((${"$"}{#words[@]} > 3)) && [[ $option != -swap && $option != -getlun ]]; then
    # After the path comes a value, if anything.
    [[ $option == -lbmode ]] && mapfile -t candidates < <(compgen -W "0 1 2 3" -- "$current")
  else
    case $option in
      -getlun) mapfile -t candidates < <(compgen -W "-v -s0 -s1 -s2" -- "$current") ;;
      -getlog) mapfile -t candidates < <(compgen -f -- "$current") ;;
      -setfbmode) mapfile -t candidates < <(compgen -W "Active Standby" -- "$current") ;;
      -setmscsmode) mapfile -t candidates < <(compgen -W "Enable Disable" -- "$current") ;;
      -avail | -notavail | -path | -swap | -priority | -lbmode | -failback)
        mapfile -t candidates < <(pathctl __complete -- path enable "$current" 2>/dev/null) ;;
    esac
  fi
  _pathmanager_reply "$current" "${"$"}{candidates[@]}"
}
_pathpersist() {
  local current=${"$"}{COMP_WORDS[COMP_CWORD]}
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "${PERSIST_LONG}" -- "$current")
  elif [[ $current == /* ]]; then
    COMPREPLY=()
    compopt -o default
  else
    mapfile -t COMPREPLY < <(pathctl __complete -- unit release "$current" 2>/dev/null)
  fi
}
complete -F _pathctl pathctl
complete -F _pathpersist pathpersist
complete -F _spscmd spscmd
`;

const ZSH = String.raw`#compdef pathctl pathpersist spscmd
# zsh completion for pathctl, pathpersist and spscmd; load it with: source <(pathctl completion zsh)
_pathmanager_ask() {
  local -a candidates
  candidates=("${"$"}{(@f)$(pathctl __complete -- "$@" 2>/dev/null)}")
  candidates=(${"$"}{candidates:#})
  if [[ ${"$"}{candidates[1]} == :files ]]; then
    _files
    return
  fi
  compadd -a candidates
}
_pathctl() {
  _pathmanager_ask "${"$"}{(@)words[2,CURRENT]}"
}
_spscmd() {
  if ((CURRENT == 2)); then
    compadd -- ${SPSCMD_OPTIONS}
    return
  fi
  if ((CURRENT > 3)) && [[ ${"$"}{words[2]:l} != -(swap|getlun) ]]; then
    # After the path comes a value, if anything.
    [[ ${"$"}{words[2]:l} == -lbmode ]] && compadd 0 1 2 3
    return
  fi
  case ${"$"}{words[2]:l} in
    -getlun) compadd -- -v -s0 -s1 -s2 ;;
    -getlog) _files ;;
    -setfbmode) compadd Active Standby ;;
    -setmscsmode) compadd Enable Disable ;;
    -avail|-notavail|-path|-swap|-priority|-lbmode|-failback) _pathmanager_ask path enable "${"$"}{words[CURRENT]}" ;;
  esac
}
_pathpersist() {
  case ${"$"}{words[CURRENT]} in
    -*) compadd -- ${PERSIST_LONG} ;;
    /*) _files ;;
    *) _pathmanager_ask unit release "${"$"}{words[CURRENT]}" ;;
  esac
}
compdef _pathctl pathctl
compdef _pathpersist pathpersist
compdef _spscmd spscmd
# Loaded by the first TAB, from a folder of fpath: this is the call that it was loaded for.
if [[ ${"$"}{funcstack[1]} == _pathctl ]]; then
  if [[ $service == spscmd ]]; then _spscmd "$@"; else _pathctl "$@"; fi
fi
`;

const FISH = String.raw`# fish completion for pathctl, pathpersist and spscmd; load it with: pathctl completion fish | source
function __pathctl_candidates
    set -l words (commandline -opc) (commandline -ct)
    set -l found (pathctl __complete -- $words[2..-1] 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
function __spscmd_paths
    pathctl __complete -- path enable "" 2>/dev/null
end
complete -c pathctl -f -a "(__pathctl_candidates)"
complete -c pathpersist -a "(pathctl __complete -- unit release '' 2>/dev/null)"
complete -c pathpersist -n "string match -q -- '-*' (commandline -ct)" -a "${PERSIST_LONG}"
complete -c spscmd -f
complete -c spscmd -f -n "test (count (commandline -opc)) -eq 1" -a "${SPSCMD_OPTIONS}"
complete -c spscmd -f -n "test (count (commandline -opc)) -eq 2; and string match -qri -- '^-(avail|notavail|path|swap|priority|lbmode|failback)\$' (commandline -opc)[2]" -a "(__spscmd_paths)"
complete -c spscmd -F -n "test (count (commandline -opc)) -eq 2; and string match -qi -- -getlog (commandline -opc)[2]"
complete -c spscmd -f -n "test (count (commandline -opc)) -eq 3; and string match -qi -- -swap (commandline -opc)[2]" -a "(__spscmd_paths)"
complete -c spscmd -f -n "test (count (commandline -opc)) -eq 3; and string match -qi -- -lbmode (commandline -opc)[2]" -a "0 1 2 3"
complete -c spscmd -f -n "string match -qi -- -getlun (commandline -opc)[2]" -a "-v -s0 -s1 -s2"
complete -c spscmd -f -n "string match -qi -- -setfbmode (commandline -opc)[2]" -a "Active Standby"
complete -c spscmd -f -n "string match -qi -- -setmscsmode (commandline -opc)[2]" -a "Enable Disable"
`;

const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const;

/** The script for one shell. */
export const completionScript = (shell: keyof typeof SCRIPTS): string => SCRIPTS[shell];
