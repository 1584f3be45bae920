//! English.

use super::language::Language;

pub(super) const ALL: &[Language] = &[Language {
    weight: 10,
    chars_per_second: 14.0,
    greetings: &[
        "Hi, I'm {agent}! How can I help you today?",
        "Hello and welcome 👋 My name is {agent}. What can I do for you?",
        "Hey there! {agent} here. What's on your mind?",
        "Good to see you! I'm {agent}, and I'm happy to help.",
    ],
    orders: &[
        (
            "Hi, where is my order #{order}?",
            "Let me check… Order #{order} left our warehouse yesterday and should be with you in {number} days.",
        ),
        (
            "I was charged £{price} twice",
            "I'm sorry about that! I can see both charges of £{price}. I've marked one for refund, which takes 3 to 5 working days.",
        ),
        (
            "Can I still change the delivery address for {order}?",
            "Yes, as long as it hasn't shipped. What is the new address?",
        ),
        (
            "the parcel came but {number} of the cups are broken :(",
            "Oh no, I'm really sorry! Could you send a photo of the {number} broken cups? I'll have new ones on the way today.",
        ),
        (
            "How do I return something?",
            "You have 30 days. Print the label from your account, put everything back in the box, and drop it off at any of our {number} partner shops nearby.",
        ),
        (
            "I need an invoice with our VAT number on it.",
            "Sure. Tell me the VAT number and I'll send the corrected invoice for order #{order} to your e-mail address.",
        ),
    ],
    travel: &[
        (
            "When does the next train to the airport leave?",
            "The next one leaves at {time} from platform {number}. It takes about 25 minutes.",
        ),
        (
            "is gate {number} far from here?",
            "It's about a {number}-minute walk: straight on, past security, then follow the yellow signs on your left.",
        ),
        (
            "My flight at {time} was cancelled. What now?",
            "I'm sorry to hear that. You can be rebooked on the next flight at no charge; the desk opposite gate {number} is open right now.",
        ),
        (
            "Could you recommend somewhere quiet to eat?",
            "There's a small place by the river, {number} minutes on foot. The soup of the day is £{price}, and they're open until {time}.",
        ),
        (
            "Do I need a visa?",
            "That depends on your passport. Which country issued it, and how long would you like to stay?",
        ),
    ],
    museum: &[
        (
            "Who painted the big one with the ships?",
            "That's from 1839. The old warship is being towed to her last berth, and the little steam tug does the work. Look at the sunset: it isn't only about a ship.",
        ),
        (
            "Why do foxes have such bushy tails?",
            "Great question! 🦊 A fox's tail keeps it warm like a blanket, helps it balance, and lets it talk to other foxes.",
        ),
        (
            "how old is the mummy in room {number}",
            "She died about thirty centuries ago, at {number} or a little older. We know from her teeth, and the time from the style of the coffin.",
        ),
        (
            "Are there dinosaurs here?",
            "Yes! There are {number} of them on the ground floor. Please don't feed them. 🦖",
        ),
        (
            "What time do you close?",
            "The galleries close at {time}, and the last entry is half an hour before that.",
        ),
    ],
    support: &[
        (
            "I can't log in, it says my account is locked",
            "That happens after five wrong passwords. I've sent a code to your phone; it's good for {number} minutes. Type it in on the page, and never tell it to anybody, not even to me.",
        ),
        (
            "The printer on floor {number} says PC LOAD LETTER",
            "It wants paper: tray 2, A4. If it still complains, switch it off for ten seconds.",
        ),
        (
            "vpn keeps dropping every {number} minutes",
            "Thanks, that helps. Are you on the guest network? It closes idle tunnels. Switching to the office network usually fixes it.",
        ),
        (
            "My screen went black during a call!",
            "Let's see. Is the little light on its edge on? If it is, press Win+Ctrl+Shift+B once. You may hear a beep.",
        ),
        (
            "C:\\Users\\me\\file.txt is \"in use\" but nothing is open",
            "Then something holds it in the background. Open the task manager, go to \"Details\", and look for the program; or restart, which is quicker.",
        ),
    ],
    kiosk: &[
        (
            "Where are the toilets?",
            "Straight ahead, then left after the lifts, next to shop {number}.",
        ),
        (
            "do you have this in size {number}?",
            "Let me look… Yes, two left, on the first floor. They're £{price} each.",
        ),
        ("What's on sale?", "Everything with a red dot is 20 % off today, until {time}."),
        (
            "Can I pay with my phone",
            "You can, at every till. There's also a machine behind you that takes cash.",
        ),
        ("mummy look it talks!!", "Hello down there! 😄 I do talk. What's your name?"),
    ],
    small_talk: &[
        ("ok", "Great. Take your time."),
        ("yes", "Perfect."),
        ("Sorry, could you say that again?", "Of course! I'll say it more slowly this time."),
        ("Are you a real person?", "I'm {agent}, a digital assistant. But I'm all ears. 🙂"),
        (
            "Can I talk to a human please",
            "Certainly. Somebody will be with you in about {number} minutes. May I try in the meantime?",
        ),
        ("hmm, let me think", "No rush."),
    ],
    follow_ups: &[
        "Does that help?",
        "Is there anything else?",
        "Shall I send you that by e-mail?",
        "Would you like to know more?",
    ],
    farewells: &[
        ("Thanks, that's all. Bye!", "You're welcome! Have a lovely day. 👋"),
        ("great thank you", "My pleasure. See you soon!"),
        ("gotta go", "Take care!"),
    ],
}];
