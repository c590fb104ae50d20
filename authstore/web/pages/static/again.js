// Sends what was asked for before somebody confirmed who they are.
document.querySelector("form[data-goes-on]")?.requestSubmit();
